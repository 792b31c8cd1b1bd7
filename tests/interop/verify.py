"""Verifies an access token with PyJWT. Arguments: URL of the keys, issuer and audience, algorithm, token."""
import sys
import jwt

keys, issuer, algorithm, token = sys.argv[1:]
try:
    key = jwt.PyJWKClient(keys).get_signing_key_from_jwt(token).key
    required = ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]
    decoded = jwt.decode_complete(token, key, algorithms=[algorithm], issuer=issuer, audience=issuer, options={"require": required})
except jwt.InvalidTokenError:
    print("refused")
else:
    assert decoded["header"]["typ"] == "at+jwt"
    claims = decoded["payload"]
    assert "roles:manage" in claims["scope"].split(" ")
    print("root:", claims["acr"], *claims["amr"])
