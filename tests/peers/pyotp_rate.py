"""How many one-time codes pyotp checks in a second of CPU time: groups of cases as JSON on standard input, counts and
nanoseconds on standard output. bench/src/peers.rs says what is counted."""

import datetime
import hashlib
import json
import sys
import time

import pyotp


def measure(name, group, rounds):
    totp = pyotp.TOTP(
        group["secret"], digits=group["digits"], digest=getattr(hashlib, name), interval=group["period"]
    )
    window = group["drift"]

    def read(case):
        return datetime.datetime.fromtimestamp(case["at"], datetime.timezone.utc), case["code"]

    at, code = read(group["forged"])
    if totp.verify(code, for_time=at, valid_window=window):
        sys.exit("a wrong code was accepted")
    cases = [read(case) for case in group["cases"]]
    if not all(totp.verify(code, for_time=at, valid_window=window) for at, code in cases):
        sys.exit("a good code was refused")
    began = time.process_time_ns()
    for _ in range(rounds):
        for at, code in cases:
            totp.verify(code, for_time=at, valid_window=window)
    return {"count": rounds * len(cases), "cpu_ns": time.process_time_ns() - began}


question = json.load(sys.stdin)
answers = {name: measure(name, group, question["rounds"]) for name, group in question["groups"].items()}
json.dump(answers, sys.stdout)
