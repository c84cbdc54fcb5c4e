"""An S3 server on loopback, run under the servers' Python: moto, with users whose keys it prints.

`s3_server.py checked` prints a JSON document with the server's address and the keys of an administrator, a reader and
a nobody, checks signatures and permissions from then on, and runs until its standard input ends. `s3_server.py open`
takes every signature (moto cannot check those there are and let in those who have none).
"""

from __future__ import annotations

import json
import os
import sys

if sys.argv[1] == "checked":
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "1000"  # read when moto is imported

import boto3
import requests
from moto.server import ThreadedMotoServer


def user(iam: object, name: str, actions: str | list[str]) -> dict[str, str]:
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
anyone = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything", "region_name": "us-east-1"}
iam = boto3.client("iam", endpoint_url=url, **anyone)
s3 = boto3.client("s3", endpoint_url=url, **anyone)
told = {
    "url": url,
    "admin": user(iam, "admin", ["s3:*"]),
    "reader": user(iam, "reader", ["s3:GetObject"]),
    "nobody": user(iam, "nobody", ["s3:GetBucketLocation"]),
}
for bucket in ("private", "public", "dotted.name"):
    s3.create_bucket(Bucket=bucket)
read = {"Sid": "read", "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"]}
for bucket in ("public", "dotted.name"):
    policy = {"Version": "2012-10-17", "Statement": [{**read, "Resource": [f"arn:aws:s3:::{bucket}/*"]}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
if sys.argv[1] == "checked":
    requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=10)
print(json.dumps(told), flush=True)
sys.stdin.read()
server.stop()
