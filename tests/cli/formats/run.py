"""Is what the formats write valid, and does it say what the models of made.c say?
usage: run.py DOCUMENT   (the program of document.c)"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import documents  # noqa: E402
import sarif_broken  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])
MODELS = ['empty', 'one', 'three', 'suppressed', 'unknown', 'nasty', 'unprotected']
RUN = ['7', '1.25', 'make', 'te"st', '\udcff<&>\n']
# The text that made.c puts everywhere, with '?' for what cannot be shown.
NASTY = 'a"b<c>&d\'e%f,g:h\\i?j?k]]>l??ä €::error::m'


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix='freeonce-formats-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = os.path.realpath(folder.name)

    def write(self, form, model, run=(), environment=None):
        words = [PROGRAM, form, model, *run]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, timeout=300, check=False,
                              env={'PATH': os.environ['PATH'], **(environment or {})})
        self.assertEqual((done.returncode, done.stderr), (0, b''))
        return done.stdout.decode('utf-8')

    def test_every_document_is_valid(self):
        for form, check in [('json', documents.json_lines), ('junit', documents.junit),
                            ('sarif', documents.sarif), ('github', documents.github)]:
            for model in MODELS:
                for run in ([], RUN, ['139', '0.5', 'crash'], ['127', '0', 'x']):
                    with self.subTest(form=form, model=model, run=run):
                        check(self.write(form, model, run))

    def test_the_schemas_refuse_what_they_do_not_describe(self):
        text = self.write('json', 'one')
        for wrong in ['"kind":"x","more":1', '"knd":"double-free"']:
            with self.assertRaises(AssertionError):
                documents.json_lines(text.replace('"kind":"double-free"', wrong))
        with self.assertRaises(AssertionError):
            documents.json_lines(text.replace('"0x7f12a4c01040"', '139718'))
        log = json.loads(self.write('sarif', 'one', RUN))
        documents.validate(log, documents.SARIF)
        for name, change in {**sarif_broken.FORBIDDEN, **sarif_broken.NOT_OURS}.items():
            with self.subTest(name), self.assertRaises(AssertionError):
                documents.validate(sarif_broken.broken(log, change), documents.SARIF)
        with self.assertRaises(AssertionError):
            documents.junit(self.write('junit', 'one').replace('classname=', 'class='))

    def test_json_has_everything(self):
        lines = documents.json_lines(self.write('json', 'one', RUN))
        run, finding = lines['run'][0], lines['finding'][0]
        self.assertEqual(run['command'], ['make', 'te"st', '?<&>?'])
        self.assertEqual((run['status'], run['seconds'], run['guarded']), (7, 1.25, 3))
        self.assertEqual(finding['pointer'], '0x7f12a4c01040')
        self.assertEqual(finding['first'], '2026-01-01T00:00:03.000000001Z')
        self.assertEqual(finding['now']['caller']['line'], 41)
        self.assertEqual(finding['now']['program'], 'worker')
        self.assertEqual(lines['process'][finding['now']['process'] - 1]['pid'], 4122)
        self.assertEqual([frame['address'] for frame in finding['now']['stack']], ['0x99', '0x1234'])
        self.assertEqual(finding['location'], {'file': f'{self.folder}/src/worker.c', 'line': 41,
                                               'function': 'worker_shutdown', 'openssl': False})
        self.assertEqual(lines['process'][1]['parent'], 1)
        self.assertIsNone(lines['process'][1]['how'])
        lines = documents.json_lines(self.write('json', 'three'))
        self.assertIsNone(lines['run'][0]['command'])
        self.assertEqual(lines['finding'][1]['neighbour']['block'], '0x4f00')
        self.assertEqual(lines['summary'][0], {'type': 'summary', 'findings': 3, 'suppressed': 0, 'dropped': 2, 'excluded': 0, 'nameless': 0,
                                               'occurrences': 4652, 'unfinished': 0, 'damaged': 0})
        lines = documents.json_lines(self.write('json', 'suppressed'))
        self.assertEqual(lines['finding'][0]['suppressed'], {'name': 'bug 123', 'file': 'known.txt', 'line': 3})

    def test_junit_has_a_case_for_each_finding(self):
        cases = documents.junit(self.write('junit', 'three', RUN)).findall('.//testcase')
        self.assertEqual([(case.get('classname'), case.get('name'), case.get('file')) for case in cases],
                         [('worker', 'double-free of SSL_CTX at src/worker.c:41', 'src/worker.c'),
                          ('server', 'overflow of block at src/mine.c:12', 'src/mine.c'),
                          ('worker', 'reference-to-freed of X509 at ssl/ssl_lib.c:3457', None),
                          ('freeonce', 'findings that are not in the journal', None)])
        failure = cases[0].find('failure')
        self.assertEqual(failure.get('type'), 'double-free')
        self.assertEqual(failure.get('message'), 'double free of SSL_CTX 0x7f12a4c01040 (1072 bytes)')
        self.assertIn('\nfreed first: ssl/ssl_lib.c:3457, pid 4121 (server), forked from 4120\n', failure.text)
        self.assertEqual(cases[3].find('failure').get('message'), '2 more findings are not in the journal')

    def test_junit_without_findings_passes_one_case(self):
        case, = documents.junit(self.write('junit', 'empty')).findall('.//testcase')
        self.assertEqual((case.get('name'), len(case)), ('no findings', 0))

    def test_names_that_had_no_room_are_printed(self):
        said = 'a name, module or process had no room in the journal 7 times, and is missing from the findings'
        summary, = documents.json_lines(self.write('json', 'suppressed'))['summary']
        self.assertEqual(summary['nameless'], 7)
        self.assertEqual(documents.junit(self.write('junit', 'suppressed')).find('.//system-out').text, said)
        run = documents.sarif(self.write('sarif', 'suppressed'))
        self.assertIn(said, [one['message']['text'] for one in run['invocations'][0]['toolExecutionNotifications']])
        self.assertIn(f'::warning title=freeonce::{said}\n', self.write('github', 'suppressed'))
        for form in ('junit', 'sarif', 'github'):
            self.assertNotIn('no room', self.write(form, 'three'), form)

    def test_processes_that_could_not_write_the_journal_are_printed(self):
        said = 'at least 1 process could not write the journal (--any-user?), and what they found is not in it'
        summary, = documents.json_lines(self.write('json', 'unprotected'))['summary']
        self.assertEqual(summary['excluded'], 1)
        root = documents.junit(self.write('junit', 'unprotected'))
        cases = root.findall('.//testcase')
        self.assertEqual(str(len(cases)), root.get('tests'))
        self.assertEqual(said, cases[-1].find('failure').get('message'))
        self.assertEqual('excluded', cases[-1].find('failure').get('type'))
        run, = documents.sarif(self.write('sarif', 'unprotected'))['invocations']
        self.assertIn(said, [one['message']['text'] for one in run['toolExecutionNotifications']])
        self.assertFalse(run['executionSuccessful'])
        self.assertIn(f'::error title=freeonce::{said}\n', self.write('github', 'unprotected'))
        for form in ('junit', 'sarif', 'github'):
            self.assertNotIn('could not write', self.write(form, 'three'), form)

    def test_junit_skips_what_is_suppressed(self):
        root = documents.junit(self.write('junit', 'suppressed'))
        self.assertEqual((root.get('failures'), root.find('testsuite').get('skipped')), ('2', '1'))
        self.assertEqual(root.find('.//skipped').get('message'), 'suppressed by [bug 123] of known.txt:3')

    def test_sarif_has_rule_place_and_relations(self):
        run = documents.sarif(self.write('sarif', 'three', RUN))
        self.assertEqual(run['originalUriBaseIds']['SRCROOT']['uri'], f'file://{self.folder}/')
        first, second, third = run['results']
        self.assertEqual(first['ruleId'], 'double-free')
        self.assertEqual(first['locations'][0]['physicalLocation'],
                         {'artifactLocation': {'uri': 'src/worker.c', 'uriBaseId': 'SRCROOT'},
                          'region': {'startLine': 41}})
        self.assertEqual([place['message']['text'].split(':')[0] for place in first['relatedLocations']],
                         ['allocated', 'freed first'])
        self.assertEqual(first['relatedLocations'][0]['physicalLocation']['artifactLocation'],
                         {'uri': 'file:///src/set%20up.c'})
        self.assertEqual(first['stacks'][0]['frames'][0]['module'], 'libssl.so.3')
        self.assertEqual(first['partialFingerprints'], {'freeonce/v1': '00112233aabbccdd'})
        self.assertEqual(second['occurrenceCount'], 4650)
        self.assertEqual(third['locations'][0]['physicalLocation']['artifactLocation'],
                         {'uri': 'ssl/ssl_lib.c', 'uriBaseId': 'OPENSSL'})
        rules = {rule['id']: rule for rule in run['tool']['driver']['rules']}
        self.assertEqual(rules['double-free']['shortDescription']['text'], 'Double free of an OpenSSL block or object')
        self.assertEqual(rules['interior-free-of-freed']['shortDescription']['text'],
                         'Free of a pointer into a freed block')
        self.assertIn('take only what OpenSSL allocated', rules['foreign-free']['help']['text'])
        self.assertEqual(len(rules), len({rule['shortDescription']['text'] for rule in rules.values()}))

    def test_sarif_has_how_the_run_ended(self):
        for status, expected in [('0', (0, True, None)), ('7', (7, True, None)), ('127', (127, False, None)),
                                 ('139', (139, False, 11))]:
            run = documents.sarif(self.write('sarif', 'empty', [status, '1', 'x']))
            invocation, = run['invocations']
            self.assertEqual((invocation['exitCode'], invocation['executionSuccessful'],
                              invocation.get('exitSignalNumber')), expected)
        self.assertNotIn('exitCode', documents.sarif(self.write('sarif', 'empty'))['invocations'][0])

    def test_sarif_marks_what_is_suppressed_and_what_was_not_protected(self):
        first, second, _ = documents.sarif(self.write('sarif', 'suppressed'))['results']
        self.assertEqual(first['suppressions'], [{'kind': 'external', 'justification': 'bug 123 (known.txt:3)'}])
        self.assertEqual(second['suppressions'], [])
        invocation, = documents.sarif(self.write('sarif', 'unprotected'))['invocations']
        self.assertEqual(invocation['toolExecutionNotifications'][0]['message']['text'],
                         'static (pid 9) used OpenSSL unprotected: OpenSSL is linked statically')

    def test_github_annotates_the_callers_line(self):
        first, second, third, more = documents.github(self.write('github', 'three'))
        self.assertEqual(first[0], 'error')
        self.assertEqual(first[1], {'file': 'src/worker.c', 'line': '41',
                                    'title': 'double-free of SSL_CTX in worker'})
        self.assertEqual(first[2].split('\n')[:3],
                         ['double free of SSL_CTX 0x7f12a4c01040 (1072 bytes), skipped',
                          'allocated: ssl/ssl_lib.c:3168 by setup at /src/set up.c:20, pid 4120 (server)',
                          'freed first: ssl/ssl_lib.c:3457, pid 4121 (server), forked from 4120'])
        self.assertEqual(second[1]['file'], 'src/mine.c')
        self.assertNotIn('file', third[1])
        self.assertEqual(more, ('error', {'title': 'freeonce'}, '2 more findings are not in the journal'))

    def test_github_names_files_from_the_workspace(self):
        above = {'GITHUB_WORKSPACE': os.path.dirname(self.folder)}
        first, = documents.github(self.write('github', 'one', environment=above))
        self.assertEqual(first[1]['file'], f'{os.path.basename(self.folder)}/src/worker.c')
        first, = documents.github(self.write('github', 'one', environment={'GITHUB_WORKSPACE': '/elsewhere'}))
        self.assertNotIn('file', first[1])

    def test_github_is_silent_without_findings_and_warns_of_what_was_not_protected(self):
        self.assertEqual(self.write('github', 'empty'), '')
        warning, _ = documents.github(self.write('github', 'unprotected'))
        self.assertEqual((warning[0], warning[2]),
                         ('warning', 'static (pid 9) used OpenSSL unprotected: OpenSSL is linked statically'))
        self.assertEqual([command[0] for command in documents.github(self.write('github', 'suppressed'))],
                         ['notice', 'error', 'error', 'warning'])

    def test_no_text_breaks_out_of_its_place(self):
        finding, = documents.json_lines(self.write('json', 'nasty'))['finding']
        self.assertEqual(finding['now']['caller']['function'], NASTY)
        case, = documents.junit(self.write('junit', 'nasty')).findall('.//testcase')
        self.assertEqual(case.get('classname'), NASTY)
        result, = documents.sarif(self.write('sarif', 'nasty'))['results']
        self.assertEqual(result['properties']['program'], NASTY)
        self.assertIn(NASTY.replace('\\', '\\\\').replace(']', '\\]'), result['message']['text'])
        command, = documents.github(self.write('github', 'nasty'))
        self.assertEqual(command[1]['title'], f'double-free of {NASTY} in {NASTY}')
        self.assertTrue(command[2].startswith(f'{NASTY}, {NASTY}\n'))

    def test_junit_is_well_formed_whatever_the_names_are(self):
        """Nothing that XML 1.0 forbids, also escaped; Python's parser is expat."""
        control = [bytes([code]) for code in [*range(1, 32), 127]]
        broken = [b'\xff', b'\x80', b'\xc0\x80', b'\xc2', b'\xe2\x82', b'\xf0\x9f\x98', b'\xed\xa0\x80', b'\xf4\x90\x80\x80',
                  b'\xef\xbf\xbe', b'\xef\xbf\xbf', b'\xc2\x80', b'\xc2\x9f']
        for bad in control + broken:
            with self.subTest(bad):
                case = self.nasty_case(b'a' + bad + b'z' + bad)
                shown = 'a' + '?' * len(bad) + 'z' + '?' * len(bad)
                self.assertEqual(case.get('classname'), shown)
                self.assertTrue(case.find('failure').text.startswith(f'{shown}, {shown}\n'))
        for good in [']]>', '<!--', '<![CDATA[', '&#0;', '&amp;', '<?x?>', '"\'', '€', '\U0001f600', '\ue000', '\ufffd']:
            with self.subTest(good):
                case = self.nasty_case(good.encode() * 2)
                self.assertEqual(case.get('classname'), good * 2)
                self.assertTrue(case.find('failure').text.startswith(f'{good * 2}, {good * 2}\n'))

    def nasty_case(self, text):
        written = self.write('junit', 'nasty', environment={'MADE_NASTY': os.fsdecode(text)})
        return xml.etree.ElementTree.fromstring(written).find('.//testcase')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
