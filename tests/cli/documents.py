"""What must hold of every document that the command writes: its schema, and what a schema cannot say.
Each function takes the text of one document, fails with AssertionError, and returns what it read."""
import functools
import json
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMAS = os.path.join(HERE, 'schema')
SARIF = os.path.join(SCHEMAS, 'sarif.schema.json')
FINDINGS = os.path.join(HERE, '..', '..', 'docs', 'schema', 'freeonce-findings.schema.json')


@functools.lru_cache(maxsize=None)
def validator_of(path):
    with open(path, encoding='utf-8') as file:
        schema = json.load(file)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def validate(value, path):
    error = jsonschema.exceptions.best_match(validator_of(path).iter_errors(value))
    assert error is None, f'{list(error.absolute_path)}: {error.message[:500]}'


def json_lines(text):
    """The lines, by their type."""
    assert text.endswith('\n')
    lines = [json.loads(line) for line in text[:-1].split('\n')]
    for line in lines:
        validate(line, FINDINGS)
    order = [line['type'] for line in lines]
    assert order == sorted(order, key=['run', 'process', 'finding', 'summary'].index), order
    found = {kind: [line for line in lines if line['type'] == kind]
             for kind in ('run', 'process', 'finding', 'summary')}
    assert len(found['run']) == len(found['summary']) == 1
    ids = [process['id'] for process in found['process']]
    assert len(set(ids)) == len(ids)
    for process in found['process']:
        assert process['parent'] in [None, *ids]
    suppressed = sum(finding['suppressed'] is not None for finding in found['finding'])
    summary = found['summary'][0]
    assert summary['suppressed'] == suppressed
    assert summary['findings'] == len(found['finding']) - suppressed
    return found


def junit(text):
    """The root element."""
    with tempfile.NamedTemporaryFile(suffix='.xml') as file:
        file.write(text.encode())
        file.flush()
        run = subprocess.run(['xmllint', '--noout', '--nonet', '--schema', os.path.join(SCHEMAS, 'junit.xsd'),
                              file.name], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    root = ET.fromstring(text)
    for element in [root, root.find('testsuite')]:
        assert int(element.get('tests')) == len(root.findall('.//testcase'))
        assert int(element.get('failures')) == len(root.findall('.//failure'))
        assert element.get('errors') == '0'
    assert int(root.find('testsuite').get('skipped')) == len(root.findall('.//skipped'))
    return root


def sarif(text):
    """The only run."""
    log = json.loads(text)
    validate(log, SARIF)
    assert next(iter(log)) == 'version'
    run, = log['runs']
    rules = run['tool']['driver']['rules']
    assert len({rule['id'] for rule in rules}) == len(rules)
    for rule in rules:
        assert re.fullmatch(r'[A-Z][^%]*', rule['shortDescription']['text']), rule
    for result in run['results']:
        if 'ruleIndex' in result:
            assert rules[result['ruleIndex']]['id'] == result['ruleId']
        for location in [*result['locations'], *result.get('relatedLocations', [])]:
            artifact = location.get('physicalLocation', {}).get('artifactLocation', {'uri': 'file:///'})
            assert artifact.get('uriBaseId') in [None, *run['originalUriBaseIds']]
    return run


def github(text):
    """The commands: (name, properties, message)."""
    commands = []
    assert text == '' or text.endswith('\n')
    for line in text.split('\n')[:-1]:
        match = re.fullmatch(r'::(error|warning|notice) ([a-z]+=[^:,]*(?:,[a-z]+=[^:,]*)*)::(.+)', line)
        assert match, line
        assert not re.search(r'%(?!25|0A|3A|2C)', line), line
        plain = {key: decode(value) for key, value in (p.split('=', 1) for p in match[2].split(','))}
        assert set(plain) in ({'title'}, {'file', 'line', 'title'}), plain
        commands.append((match[1], plain, decode(match[3])))
    return commands


def decode(text):
    for escape, plain in [('%0D', '\r'), ('%0A', '\n'), ('%3A', ':'), ('%2C', ','), ('%25', '%')]:
        text = text.replace(escape, plain)
    return text
