"""A stand-in of the hub's HTTP API, as huggingface_hub calls it: repositories in memory, over HTTP on this machine."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_stand_in"
FRONT = re.compile(rb"^---\n(.*?\n)---\n", re.DOTALL)


@dataclass
class Repository:
    """One model repository: branch to path to content."""

    private: bool = False
    branches: dict = field(default_factory=lambda: {"main": {".gitattributes": b"*.safetensors filter=lfs\n"}})
    messages: list = field(default_factory=list)

    def sha(self, branch):
        digest = hashlib.sha1()
        for path, content in sorted(self.branches[branch].items()):
            digest.update(path.encode() + hashlib.sha256(content).digest())
        return digest.hexdigest()

    def metadata(self, branch):
        found = FRONT.match(self.branches[branch].get("README.md", b""))
        return yaml.safe_load(found.group(1)) if found else {}


class HubStandIn:
    """The state of the hub, and what it was asked."""

    def __init__(self):
        self.repositories = {}
        self.large = {}  # SHA-256 -> content
        self.asked = []  # method and path
        self.refuse = {}  # a pattern of the path -> status, message
        self.url = None

    def __enter__(self):
        hub = self

        class Handler(_Handler):
            stand_in = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Refused(Exception):
    """An answer other than 200: status, code of the hub, message, and the content if it is not the message."""

    def __init__(self, status, code, message, content=None):
        super().__init__(message)
        self.status, self.content = status, content or {"error": message}
        self.headers = {"X-Error-Code": code, "X-Error-Message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and content in one packet: the second would wait for an acknowledgement

    def log_message(self, *words):
        pass

    def do_GET(self):
        self._serve("GET")

    def do_HEAD(self):
        self._serve("HEAD")

    def do_POST(self):
        self._serve("POST")

    def do_PUT(self):
        self._serve("PUT")

    def _serve(self, method):
        path = unquote(urlsplit(self.path).path)
        self.stand_in.asked.append((method, path))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            for pattern, (status, message) in self.stand_in.refuse.items():
                if re.search(pattern, path):
                    raise Refused(status, None, message)
            if not path.startswith("/lfs/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused(401, None, "Invalid credentials in Authorization header")
            for known, route, answer in ROUTES:
                found = re.fullmatch(route, path) if known == method else None
                if found:
                    self._send(200, answer(self, *found.groups()))
                    return
            raise Refused(404, "EntryNotFound", f"no such address: {method} {path}")
        except Refused as refused:
            self._send(refused.status, refused.content, refused.headers)

    def _send(self, status, content, headers=()):
        content, more = content if isinstance(content, tuple) else (content, {})
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**dict(headers), **more, "Content-Length": len(sent)}.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    @property
    def json(self):
        return json.loads(self.body)

    def _repository(self, name, branch=None):
        repository = self.stand_in.repositories.get(name)
        if repository is None:
            raise Refused(404, "RepoNotFound", "Repository not found")
        if branch is not None and branch not in repository.branches:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        return repository

    def _may_write(self, name):
        if not name.startswith("acme/"):
            raise Refused(403, None, "You don't have the rights to write under this namespace")

    def create(self):
        name = f"{self.json['organization']}/{self.json['name']}"
        self._may_write(name)
        if name in self.stand_in.repositories:
            raise Refused(409, None, "You already created this model repo")
        self.stand_in.repositories[name] = Repository(private=bool(self.json.get("private")))
        return {"url": f"{self.stand_in.url}/{name}", "name": name}

    def info(self, name, branch=None):
        branch = branch or "main"
        repository = self._repository(name, branch)
        metadata = repository.metadata(branch)
        return {
            "id": name,
            "private": repository.private,
            "sha": repository.sha(branch),
            "siblings": [{"rfilename": path} for path in sorted(repository.branches[branch])],
            "cardData": metadata,
            "tags": metadata.get("tags", []),
            **{key: metadata[key] for key in ("pipeline_tag", "library_name") if key in metadata},
        }

    def check_yaml(self):
        found = FRONT.match(self.json["content"].encode())
        try:
            yaml.safe_load(found.group(1) if found else b"")
        except yaml.YAMLError as error:
            raise Refused(400, None, "invalid", {"errors": [{"message": str(error)}], "warnings": []}) from error
        return {"errors": [], "warnings": []}

    def create_branch(self, name, branch):
        self._may_write(name)
        repository = self._repository(name)
        if branch in repository.branches:
            raise Refused(409, None, "Reference already exists")
        repository.branches[branch] = dict(repository.branches["main"])
        return {}

    def preupload(self, name, branch):
        self._may_write(name)
        files = self._repository(name, branch).branches[branch]
        answers = []
        for one in self.json["files"]:
            is_large = one["size"] > 100_000 or b"\0" in base64.b64decode(one["sample"])
            known = files.get(one["path"])
            oid = None
            if known is not None and is_large:
                oid = hashlib.sha256(known).hexdigest()
            elif known is not None:
                oid = hashlib.sha1(b"blob %d\0" % len(known) + known).hexdigest()
            mode = "lfs" if is_large else "regular"
            answers.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": answers}

    def lfs_batch(self, name):
        self._may_write(name)
        objects = []
        for one in self.json["objects"]:
            if one["oid"] not in self.stand_in.large:
                url = self.stand_in.url
                actions = {"upload": {"href": f"{url}/lfs/{one['oid']}"}, "verify": {"href": f"{url}/lfs/verify"}}
                one = {**one, "actions": actions}
            objects.append(one)
        return {"transfer": "basic", "objects": objects}

    def put_large(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, None, "another SHA-256 than was announced")
        self.stand_in.large[oid] = self.body
        return {}

    def verify_large(self):
        if len(self.stand_in.large.get(self.json["oid"], b"")) != self.json["size"]:
            raise Refused(404, None, "it has not arrived")
        return {}

    def commit(self, name, branch):
        self._may_write(name)
        repository = self._repository(name, branch)
        files = dict(repository.branches[branch])
        for line in self.body.splitlines():
            entry = json.loads(line)
            kind, value = entry["key"], entry["value"]
            if kind == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, repository.sha(branch)):
                    raise Refused(412, None, "A commit has happened since. Please refresh and try again.")
            elif kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.stand_in.large[value["oid"]]
            else:
                assert kind == "deletedFile", kind
                del files[value["path"]]
        repository.branches[branch] = files
        repository.messages.append(message)
        sha = repository.sha(branch)
        return {"commitUrl": f"{self.stand_in.url}/{name}/commit/{sha}", "commitOid": sha}

    def file(self, name, branch, path):
        repository = self._repository(name)
        branch = next(one for one in repository.branches if branch in (one, repository.sha(one)))
        content = repository.branches[branch].get(path)
        if content is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        etag = hashlib.sha256(content).hexdigest()
        return content, {"ETag": f'"{etag}"', "X-Repo-Commit": repository.sha(branch)}


REPO = r"([^/]+/[^/]+)"
ROUTES = [
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.check_yaml),
    ("GET", f"/api/models/{REPO}", _Handler.info),
    ("GET", f"/api/models/{REPO}/revision/(.+)", _Handler.info),
    ("POST", f"/api/models/{REPO}/branch/(.+)", _Handler.create_branch),
    ("POST", f"/api/models/{REPO}/preupload/(.+)", _Handler.preupload),
    ("POST", f"/api/models/{REPO}/commit/(.+)", _Handler.commit),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("POST", "/lfs/verify", _Handler.verify_large),
    ("PUT", "/lfs/([0-9a-f]{64})", _Handler.put_large),
    ("GET", f"/{REPO}/resolve/([^/]+)/(.+)", _Handler.file),
    ("HEAD", f"/{REPO}/resolve/([^/]+)/(.+)", _Handler.file),
]
