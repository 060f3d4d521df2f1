"""Settings and config volume → staged files → validators → installed files → Plan: the one-shot child of PID 1.

`dmsinit render MODE` prints JSON objects, one a line, on standard output, and log lines on standard error:

    {"type": "phase", "name": "settings" | "render" | "validate" | "install" | "services", "began": …, "ended": …}
        a part of the work that is done, in seconds of CLOCK_MONOTONIC
    {"type": "watch", "watches": [[DESCRIPTOR, PATH, [NAME, …] | null], …], "complete": true | false}
        what was added to the inotify instance of PID 1 (`--watch`), before anything of it was read; not complete: some
        could not be
    {"type": "waiting", "for": "accounts"}
        nobody has a mailbox yet; exit 75 (EX_TEMPFAIL)
    {"type": "invalid", "problems": [{"where", "cause", "remedy"}, …], "fqdn_missing": true | false}
        the input cannot be used, and nothing was changed; exit 78 (EX_CONFIG)
    {"type": "installed", "fqdn": …, "user_patches": PATH | null}
        all files are in place; with `--boot` a line on standard input is awaited now
    {"type": "plan", "plan": Plan, "changes": [Change, …], "diffs": {PATH: TEXT}}
        what has to run, and what was changed (or would be); exit 0
    {"type": "changed", "paths": [PATH, …]}, {"type": "unchanged"}
        with `--detect`: which watched files changed, or none; then there is nothing to do, and it exits with 0
    {"type": "note", "text": …}
        for the log of the change detection, such as whose lock is waited for
    {"type": "warning", "text": …, "new": true | false}
        what a person should know; not new when the last run warned of it too
    {"type": "rolled-back", "paths": [PATH, …]}
        the files of before the last apply are back; exit 0

Modes: `--boot` renders everything anew and repairs what a start repairs; `--apply` installs the differences while
daemons run, `--detect` does so if a watched file changed, and `--roll-back` takes the last apply back; `--plan` says
what `--apply` would change, `--diff` with lines; `--check` and `--settings` are for people: they install nothing and
print text, or JSON. A defect of dmsinit ends with one ERROR line and exit 70 (EX_SOFTWARE).
"""
