"""A session with boto3, old (Debian 12 has 1.26) or new. Arguments: endpoint, bucket, small file, large file, tree."""
import base64
import hashlib
import io
import os
import ssl
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, bucket, small, large, tree = sys.argv[1:]
tls = endpoint.startswith('https:')
config = Config(signature_version='s3v4', retries={'total_max_attempts': 1})
s3 = boto3.client('s3', endpoint_url=endpoint, config=config)
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
data = open(large, 'rb').read()

sent = []


def note(request, **_):
    """What botocore really put into a request: names of the trailer and of the content codings."""
    values = [request.headers.get(name) for name in ('x-amz-trailer', 'content-encoding')]
    sent.append([value.decode() if isinstance(value, bytes) else value for value in values])


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response['Error']['Code'] == code, error.response
    else:
        raise SystemExit(f'no {code}')


def sync():
    """As programs do: by name and ETag of a listing. Returns how many files it sent."""
    there = {}
    for page in s3.get_paginator('list_objects').paginate(Bucket=bucket, Prefix='tree/', PaginationConfig={'PageSize': 5}):
        there.update((entry['Key'], entry['ETag']) for entry in page.get('Contents', []))
    sent = 0
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            key = 'tree/' + os.path.relpath(path, tree)
            content = open(path, 'rb').read()
            if there.get(key) != '"%s"' % hashlib.md5(content).hexdigest():
                s3.upload_file(path, bucket, key)
                sent += 1
    return sent


s3.create_bucket(Bucket=bucket)
print('created', flush=True)
sys.stdin.readline()

s3.put_object(Bucket=bucket, Key='k/ü +%&', Body=b'body', Metadata={'a': 'b'}, ContentEncoding='gzip')
got = s3.get_object(Bucket=bucket, Key='k/ü +%&', ChecksumMode='ENABLED')
assert got['Body'].read() == b'body' and got['Metadata'] == {'a': 'b'} and got['ContentEncoding'] == 'gzip', got

# A checksum in a trailer: botocore sends one over TLS only, and a header else.
for algorithm in ('SHA256', 'CRC32'):
    s3.meta.events.register_first('before-send.s3.PutObject', note)
    with open(small, 'rb') as body:
        put = s3.put_object(Bucket=bucket, Key='checked', Body=body, ChecksumAlgorithm=algorithm, ContentEncoding='gzip')
    s3.meta.events.unregister('before-send.s3.PutObject', note)
    got = s3.get_object(Bucket=bucket, Key='checked', ChecksumMode='ENABLED')
    assert got['Body'].read() == open(small, 'rb').read()
    assert got['Checksum' + algorithm] == put['Checksum' + algorithm], got
    # Old ones (1.29 of Debian 12) put aws-chunked in the place of the coding that they were told.
    codings = [name for name in sent[-1][1].split(',') if name != 'aws-chunked']
    assert got.get('ContentEncoding', '') == ','.join(codings), [got, sent]
names = ['x-amz-checksum-sha256', 'x-amz-checksum-crc32'] if tls else [None, None]
assert [trailer for trailer, _ in sent] == names, sent

s3.upload_file(large, bucket, 'large', Config=parts, ExtraArgs={'ChecksumAlgorithm': 'SHA256', 'StorageClass': 'STANDARD'})
head = s3.head_object(Bucket=bucket, Key='large', ChecksumMode='ENABLED')
composite = [hashlib.sha256(data[i:i + (5 << 20)]).digest() for i in range(0, len(data), 5 << 20)]
wanted = base64.b64encode(hashlib.sha256(b''.join(composite)).digest()).decode() + '-3'
assert head['ChecksumSHA256'] == wanted, head
assert head['ETag'].endswith('-3"'), head
attributes = s3.get_object_attributes(Bucket=bucket, Key='large', ObjectAttributes=['ObjectParts', 'ObjectSize'])
assert [attributes['ObjectSize'], attributes['ObjectParts']['TotalPartsCount']] == [len(data), 3], attributes
down = io.BytesIO()
s3.download_fileobj(bucket, 'large', down, Config=parts)
assert down.getvalue() == data
assert s3.get_object(Bucket=bucket, Key='large', Range='bytes=-10')['Body'].read() == data[-10:]
assert s3.get_object(Bucket=bucket, Key='large', Range='bytes=5242870-5242889')['Body'].read() == data[5242870:5242890]
assert s3.get_object(Bucket=bucket, Key='large', PartNumber=3)['ContentLength'] == len(data) - (10 << 20)

s3.copy({'Bucket': bucket, 'Key': 'large'}, bucket, 'copy', Config=parts)
assert s3.head_object(Bucket=bucket, Key='copy')['ContentLength'] == len(data)
keys = [o['Key'] for p in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': 1}) for o in p['Contents']]
assert keys == ['checked', 'copy', 'k/ü +%&', 'large'], keys
files = sum(len(names) for _, _, names in os.walk(tree))
assert sync() == files
assert sync() == 0, 'nothing to do the second time'

url = s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'k/ü +%&'})
context = ssl.create_default_context(cafile=os.environ['AWS_CA_BUNDLE']) if tls else None
assert urllib.request.urlopen(url, context=context).read() == b'body'
s3.put_object_tagging(Bucket=bucket, Key='copy', Tagging={'TagSet': [{'Key': 'a', 'Value': 'ü'}]})
assert s3.get_object_tagging(Bucket=bucket, Key='copy')['TagSet'] == [{'Key': 'a', 'Value': 'ü'}]
if 'IfNoneMatch' in s3.meta.service_model.operation_model('PutObject').input_shape.members:
    refused('PreconditionFailed', s3.put_object, Bucket=bucket, Key='large', Body=b'x', IfNoneMatch='*')

refused('BucketNotEmpty', s3.delete_bucket, Bucket=bucket)
s3.delete_object(Bucket=bucket, Key='copy')
keys = [o['Key'] for o in s3.list_objects_v2(Bucket=bucket)['Contents']]
answer = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': k} for k in keys]})
assert len(answer['Deleted']) == files + 3 and 'Errors' not in answer, answer
s3.delete_bucket(Bucket=bucket)
refused('404', s3.head_bucket, Bucket=bucket)
print('done')
