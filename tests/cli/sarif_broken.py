"""What must not pass as SARIF: each entry breaks one thing in a log with a finding that has a place, a
place related to it and a stack, and with a command that was run."""
import copy


def setting(*path, to):
    """The member at the path is another one, or one more."""
    def change(log):
        for key in path[:-1]:
            log = log[key]
        log[path[-1]] = to
    return change


def without(*path):
    def change(log):
        for key in path[:-1]:
            log = log[key]
        del log[path[-1]]
    return change


RUN = ('runs', 0)
DRIVER = (*RUN, 'tool', 'driver')
INVOCATION = (*RUN, 'invocations', 0)
RESULT = (*RUN, 'results', 0)
PHYSICAL = (*RESULT, 'locations', 0, 'physicalLocation')

# What both the standard's schema and the schema of this project refuse.
FORBIDDEN = {
    'another version': setting('version', to='2.0.0'),
    'no version': without('version'),
    'no runs': without('runs'),
    'no tool': without(*RUN, 'tool'),
    'no name of the tool': without(*DRIVER, 'name'),
    'a rule without an id': without(*DRIVER, 'rules', 0, 'id'),
    'a rule of a level that there is not': setting(*DRIVER, 'rules', 0, 'defaultConfiguration', 'level', to='bad'),
    'the same rule twice': lambda log: log['runs'][0]['tool']['driver']['rules'].append(
        copy.deepcopy(log['runs'][0]['tool']['driver']['rules'][0])),
    'a run that does not tell whether it succeeded': without(*INVOCATION, 'executionSuccessful'),
    'an exit code in words': setting(*INVOCATION, 'exitCode', to='0'),
    'a member that there is not': setting(*RESULT, 'kin', to='fail'),
    'a level that there is not': setting(*RESULT, 'level', to='bad'),
    'a result without a message': without(*RESULT, 'message'),
    'an empty message': setting(*RESULT, 'message', to={}),
    'a message that is bare text': setting(*RESULT, 'message', to='double free'),
    'a rule before the first': setting(*RESULT, 'ruleIndex', to=-2),
    'line 0': setting(*PHYSICAL, 'region', 'startLine', to=0),
    'a line in words': setting(*PHYSICAL, 'region', 'startLine', to='41'),
    'a physical location of nothing': without(*PHYSICAL, 'artifactLocation'),
    'a file that is no object': setting(*PHYSICAL, 'artifactLocation', to='src/worker.c'),
    'an id in words': setting(*RESULT, 'relatedLocations', 0, 'id', to='1'),
    'a stack without frames': without(*RESULT, 'stacks', 0, 'frames'),
    'a frame that is an address': setting(*RESULT, 'stacks', 0, 'frames', 0, to='0x99'),
    'a fingerprint that is a number': setting(*RESULT, 'partialFingerprints', 'freeonce/v1', to=1),
    'a suppression without a kind': setting(*RESULT, 'suppressions', to=[{'justification': 'x (known.txt:3)'}]),
    'a suppression of a kind that there is not': setting(
        *RESULT, 'suppressions', to=[{'kind': 'ours', 'justification': 'x (known.txt:3)'}]),
    'seen never': setting(*RESULT, 'occurrenceCount', to=0),
}

# What only the standard's text forbids, or freeonce never writes: the schema of this project alone refuses it.
NOT_OURS = {
    'a bracket that makes a link': setting(*RESULT, 'message', 'text', to='[worker](1)'),
    'a brace that makes a placeholder': setting(*RESULT, 'message', 'text', to='double free of {0}'),
    'a base that does not end with a slash': setting(*RUN, 'originalUriBaseIds', 'SRCROOT', 'uri', to='file:///src'),
    'an absolute file with a base': setting(
        *PHYSICAL, 'artifactLocation', to={'uri': 'file:///src/worker.c', 'uriBaseId': 'SRCROOT'}),
    'a relative file without a base': setting(*PHYSICAL, 'artifactLocation', to={'uri': 'src/worker.c'}),
    'a file with a blank': setting(
        *PHYSICAL, 'artifactLocation', to={'uri': 'src/set up.c', 'uriBaseId': 'SRCROOT'}),
    'a base that is nowhere defined': setting(
        *PHYSICAL, 'artifactLocation', to={'uri': 'worker.c', 'uriBaseId': 'HOME'}),
    'another tool': setting(*DRIVER, 'name', to='freetwice'),
    'a version that is not semantic': setting(*DRIVER, 'semanticVersion', to='1.0'),
    'a member that we do not write': setting(*RESULT, 'kind', to='fail'),
    'a property that we do not write': setting(*RESULT, 'properties', 'more', to=1),
    'a property that is missing': without(*RESULT, 'properties', 'pointer'),
    'a pointer in decimal': setting(*RESULT, 'properties', 'pointer', to='139718'),
    'a time of its own zone': setting(*RESULT, 'properties', 'first', to='2026-01-01T00:00:03+01:00'),
    'no list of suppressions': without(*RESULT, 'suppressions'),
    'no results at all': without(*RUN, 'results'),
    'an empty list of stacks': setting(*RESULT, 'stacks', to=[]),
    'a success that a signal ended': lambda log: log['runs'][0]['invocations'][0].update(
        exitCode=139, exitSignalNumber=11, executionSuccessful=True),
}


def broken(log, change):
    """A copy of the log in which that is changed."""
    log = copy.deepcopy(log)
    change(log)
    return log
