"""Settings and config volume → staged files → validators → installed files → Plan: the one-shot child of PID 1.

`dmsinit render MODE` says what it does on standard output, in the messages of dmsinit.render_protocol, and logs on
standard error.

Modes: `--boot` renders everything anew and repairs what a start repairs; `--apply` installs the differences while
daemons run, `--detect` does so if a watched file changed, and `--roll-back` takes the last apply back; `--plan` says
what `--apply` would change, `--diff` with lines; `--check` and `--settings` are for people: they install nothing and
print text, or JSON. A defect of dmsinit ends with one ERROR line and exit 70 (EX_SOFTWARE).
"""
