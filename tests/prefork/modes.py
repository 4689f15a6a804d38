"""The tests of one SSL_CTX for all workers.  One function for each mode: it prints its results, and
returns a list of lines, one for each failure."""

import statistics

MATRIX = [(kind, tls) for kind in ("rsa", "ec") for tls in (12, 13)]
CURES = ("state", "exit", "locks", "identity")


def say(text):
    print(text, flush=True)


def keep(options):
    return ["--keep-context"] if options.keep_context else []


def combinations(options):
    return [
        (kind, tls)
        for kind, tls in MATRIX
        if options.cert in (None, kind) and options.tls in (None, tls)
    ]


def judge(name, run, more=()):
    bad = run.problems() + list(more)
    load, server = run.load, run.server
    say(
        f"{'ok' if not bad else 'FAILED'}: {name}: good {load['good']:.0f} broken"
        f" {load['broken']:.0f} hung {load['hung']:.0f} crashed {run.head.get('crashed')}"
        f" findings {len(run.findings)} cpu {server['cpu']:.2f}"
    )
    return [f"{name}: {line}" for line in bad]


def handshakes(field, options):
    """8 workers, so many mutual handshakes each, none resumed."""
    bad = []
    for turn in range(options.runs):
        for kind, tls in combinations(options):
            run = field.run(
                options.flavour, kind, tls, options.workers * options.each,
                server=["--workers", options.workers, *keep(options)],
            )
            server = run.server["handshakes"]
            wrong = []
            if server != run.load["good"]:
                wrong.append(f"the server counts {server:.0f} handshakes")
            if options.workers > 1 and run.server["resumptions"]:
                wrong.append("resumed, although nobody offered a session")
            bad += judge(f"{options.flavour} {kind} TLS 1.{tls - 10} run {turn + 1}", run, wrong)
    return bad


def resume_rate(field, options, flavour, kind, tls):
    """How many of the sessions were resumed that one worker made and a client offered to another?"""
    run = field.run(
        flavour, kind, tls, options.workers * options.each, load=["--resume", 50],
        server=["--workers", options.workers, *(keep(options) if flavour != "stock" else [])],
    )
    crossed = run.load["crossed"]
    rate = 100 * run.load["crossed_resumed"] / crossed if crossed else 0.0
    every = 100 * run.load["resumed"] / max(1, run.load["offered"])
    say(
        f"  {flavour} {kind} TLS 1.{tls - 10}: offered {run.load['offered']:.0f},"
        f" resumed {every:.1f} %; to another worker {crossed:.0f}, resumed {rate:.1f} %"
    )
    return run, every, rate, crossed


def resumption(field, options):
    """Sessions made by one worker are resumed by the others; compared with stock."""
    bad = []
    for kind, tls in combinations(options):
        stock = resume_rate(field, options, "stock", kind, tls)
        bad += judge(f"stock {kind} TLS 1.{tls - 10}", stock[0])
        if options.flavour == "stock":
            # Sessions are in private memory: other workers cannot resume them.
            if stock[2] > 0:
                bad.append(f"stock: {stock[2]:.1f} % resumed by workers that cannot have them")
            continue
        run, every, rate, crossed = resume_rate(field, options, options.flavour, kind, tls)
        wrong = []
        if every < 95 or (options.workers > 1 and (crossed == 0 or rate < 95)):
            wrong.append(f"{every:.1f} % resumed, across workers {rate:.1f} %; at least 95 expected")
        bad += judge(f"{options.flavour} {kind} TLS 1.{tls - 10}", run, wrong)
    return bad


def hand_over(field, options):
    """Each line that one worker reads is answered by the next one."""
    if options.flavour == "stock":
        say("SKIP: connections are handed over in shared memory only")
        return []
    bad, lines = [], 5
    for kind, tls in combinations(options):
        run = field.run(
            options.flavour, kind, tls, options.workers * options.each,
            server=["--workers", options.workers, "--hand-over", *keep(options)],
            load=["--lines", lines, "--resume", 30],
        )
        moves, kept = run.load["moves"], run.server["kept"]
        expected = (lines - 1) * run.load["good"]
        wrong = []
        if not expected - kept <= moves <= expected or moves == 0:
            wrong.append(f"{moves:.0f} moves of {expected:.0f}, {kept:.0f} could not be sent")
        bad += judge(f"{options.flavour} hand-over {kind} TLS 1.{tls - 10}", run, wrong)
    return bad


def leave(field, options):
    """Workers exit and are replaced while the others serve; connections are open."""
    bad = []
    for turn in range(options.runs):
        for kind, tls in combinations(options):
            run = field.run(
                options.flavour, kind, tls, options.workers * options.each,
                server=["--workers", options.workers, "--lifetime", 20, "--hold", 4, *keep(options)],
                load=["--resume", 30],
            )
            wrong = [] if run.head["left"] > options.workers else ["no worker left"]
            bad += judge(
                f"{options.flavour} leave {kind} TLS 1.{tls - 10} run {turn + 1}", run, wrong
            )
    return bad


def without_cure(field, options, cure):
    """A run in which this cure is off, which should fail."""
    rest = ",".join(name for name in CURES if name != cure) if cure != "all" else "none"
    server = ["--workers", options.workers, "--stop-seconds", 5, *keep(options)]
    if cure in ("exit", "all"):
        server += ["--lifetime", 10]
    return field.run(
        options.flavour, "rsa", options.tls or 13, options.workers * options.each,
        server=server, load=["--deadline", 3000, "--give-up", 3, "--resume", 20],
        env={"FREEONCE_CURES": rest}, limit=4,
    )


def cures(field, options):
    """Each cure is needed: without it a run fails, within so many attempts."""
    bad = []
    for cure in options.cure or CURES:
        for attempt in range(options.attempts):
            seen = without_cure(field, options, cure).problems()
            if seen:
                say(f"ok: without {cure}, attempt {attempt + 1}: {'; '.join(seen)[:900]}")
                break
        else:
            say(f"FAILED: without {cure}: {options.attempts} attempts, nothing went wrong")
            bad.append(f"the cure {cure} is not missed in {options.attempts} attempts")
    return bad


def rate(field, options, flavour, kind, tls, workers):
    """Handshakes per second of the workers' processor time, in one run; and the failures."""
    run = field.run(
        flavour, kind, tls, options.each * 8, load=["--parallel", 2 * workers],
        server=["--workers", workers, *(keep(options) if flavour != "stock" else [])],
    )
    bad = [f"{flavour}: {line}" for line in run.problems()]
    return run.server["handshakes"] / max(0.001, run.server["cpu"]), bad


def spread(values):
    """The two quartiles: half of the values lie between them."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def speed(field, options):
    """Handshakes per second of processor time, compared with stock: both in each round, in alternating
    order; medians of the rounds' ratios, and their quartiles."""
    bad = []
    for kind, tls in combinations(options):
        ratios = {}
        for workers in (1, 2, 4, 8):
            rates = {"stock": [], options.flavour: []}
            for turn in range(options.runs):
                for flavour in list(rates)[:: -1 if turn % 2 else 1]:
                    one, wrong = rate(field, options, flavour, kind, tls, workers)
                    rates[flavour].append(one)
                    bad += wrong
            each = [ours / stock for stock, ours in zip(*rates.values())]
            ratios[workers] = statistics.median(each)
            low, high = spread(each)
            stock_low, stock_high = spread(rates["stock"])
            say(
                f"{kind} TLS 1.{tls - 10} workers {workers}: handshakes per CPU second: stock"
                f" {statistics.median(rates['stock']):.0f} ({stock_low:.0f} to {stock_high:.0f}),"
                f" {options.flavour} {statistics.median(rates[options.flavour]):.0f};"
                f" ratio {ratios[workers]:.3f} ({low:.3f} to {high:.3f})"
            )
        say(
            f"{kind} TLS 1.{tls - 10}: from 1 to 8 workers {options.flavour} keeps"
            f" {ratios[8] / ratios[1]:.3f} of what stock keeps"
        )
    return bad  # figures are for people: no assertion depends on time
