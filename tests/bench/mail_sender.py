"""Hand in many messages by several sessions: mail_sender.py HOST RECIPIENT COUNT BYTES SESSIONS. Standard library only.

Prints one JSON object: message number → when its transaction began (seconds since the epoch).
"""

import json
import random
import smtplib
import sys
import threading
import time

WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother "
    "area money story fact month lot right study book eye job word business issue side kind head house service friend"
)


def text(number: int, size: int) -> bytes:
    """Return a message of about `size` bytes of words; each number has its own."""
    chance, words = random.Random(number), WORDS.split()
    lines = [
        "From: Some Body <somebody@outside.test>", "To: Bench <bench@example.test>", f"Subject: Message {number}",
        "Date: Mon, 01 Jan 2024 12:00:00 +0000", f"Message-ID: <bench-{number}@outside.test>", "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii", "",
    ]  # fmt: skip
    length = sum(len(line) + 2 for line in lines)
    while length < size:
        lines.append(" ".join(chance.choices(words, k=11)).capitalize() + ".")
        length += len(lines[-1]) + 2
    return "\r\n".join([*lines, ""]).encode()


def main(host: str, recipient: str, count: int, size: int, sessions: int) -> None:
    began: dict[int, float] = {}
    messages = [text(number, size) for number in range(count)]  # beforehand: the sender is not what is measured
    ready = threading.Barrier(sessions)

    def session(numbers: range) -> None:
        with smtplib.SMTP(host, 25, "peer.outside.test", timeout=600) as smtp:
            smtp.ehlo()
            ready.wait()
            for number in numbers:
                began[number] = time.time()
                smtp.sendmail("somebody@outside.test", [recipient], messages[number])

    threads = [threading.Thread(target=session, args=(range(n, count, sessions),)) for n in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(began))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
