"""Who the fuzzer is, by PORTCULLIS_FUZZ_AS: `member` (session cookie and CSRF token) or `administrator` (access token); otherwise nobody.

Signs in anew every two seconds: fuzzing signs its own session out."""
import json
import os
import ssl
import urllib.request

import schemathesis

who, base = os.environ.get("PORTCULLIS_FUZZ_AS"), os.environ.get("PORTCULLIS_FUZZ_URL")


def sign_in(transport):
    body = {"email": os.environ["PORTCULLIS_FUZZ_EMAIL"], "password": os.environ["PORTCULLIS_FUZZ_PASSWORD"], "transport": transport}
    if transport == "token":
        body["refresh_in"] = "body"
    request = urllib.request.Request(f"{base}/v1/auth/login", json.dumps(body).encode(), {"content-type": "application/json"})
    context = ssl.create_default_context(cafile=os.environ["PORTCULLIS_FUZZ_CA"])
    with urllib.request.urlopen(request, context=context) as answer:
        cookies = [value.split(";")[0] for value in answer.headers.get_all("set-cookie") or []]
        return json.load(answer), cookies


class Member:
    def get(self, case, context):
        answer, cookies = sign_in("cookie")
        return answer["csrf_token"], next(cookie for cookie in cookies if cookie.startswith("__Host-portcullis=")).split("=", 1)

    def set(self, case, data, context):
        csrf, (name, value) = data
        case.headers = {**(case.headers or {}), "X-CSRF-Token": csrf}
        case.cookies = {**(case.cookies or {}), name: value}


class Administrator:
    def get(self, case, context):
        return sign_in("token")[0]["access_token"]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


if who == "member":
    schemathesis.auth(refresh_interval=2)(Member)
elif who == "administrator":
    schemathesis.auth(refresh_interval=2)(Administrator)
