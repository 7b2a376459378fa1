#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a report: the HTML is well-formed, complete in itself and hides no markup from names; the
JSON is valid under the schema.

    check_report.py html FILE.html...     check_report.py json SCHEMA.json FILE.json...
    check_report.py cli OCTET SOURCE      both, and the terminal text, through the program
    check_report.py evaluate OCTET SOURCE DATA   what evaluate writes about a real model
"""
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

VOID = {"meta", "img", "br", "link", "input", "hr"}
# Every attribute that can fetch or run something.
FETCH = {"src", "href", "srcset", "xlink:href", "action", "data", "poster", "background", "style"}
TAGS = set("""html head meta title style body header main nav section footer div span p a b i h1 h2 h3
small table thead tbody tr th td details summary figure figcaption pre code br img svg g path rect line
circle text title""".split())


class Page(html.parser.HTMLParser):
    """Collects tags; fails on unbalanced ones, unknown ones and anything that leaves the file."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.stack, self.ids, self.links, self.text, self.errors = [], set(), set(), [], []

    def check(self, tag, attrs):
        if tag not in TAGS:
            self.errors.append(f"tag <{tag}>")
        for name, value in attrs:
            local = value is not None and (value.startswith("#") or re.fullmatch(
                r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", value))
            if name.startswith("on") or (name in FETCH and not local):
                self.errors.append(f"<{tag} {name}={value!r}>")
            if name == "id":
                if value in self.ids:
                    self.errors.append(f"id {value} twice")
                self.ids.add(value)
            if name == "href":
                self.links.add(value.lstrip("#"))

    def handle_starttag(self, tag, attrs):
        self.check(tag, attrs)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.check(tag, attrs)

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.errors.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "style":
            if re.search(r"url\(|@import|expression|</", data):
                self.errors.append("the style sheet refers to something")
        else:
            self.text.append(data)


def check_html(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if not text.startswith("<!DOCTYPE html>\n"):
        return ["no doctype"], ""
    page = Page()
    page.feed(text)
    page.close()
    errors = page.errors + [f"<{t}> is not closed" for t in page.stack]
    errors += [f"#{link} leads nowhere" for link in page.links - page.ids]
    try:
        ElementTree.fromstring(text.split("\n", 1)[1])
    except ElementTree.ParseError as e:
        errors.append(f"no XML: {e}")
    return errors, "".join(page.text)


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KEYWORDS = {"$schema", "$ref", "$defs", "title", "description", "type", "properties", "required",
            "items", "enum", "const", "minItems", "maxItems", "minimum"}


def is_type(value, name):
    if name in ("number", "integer"):
        kinds = (int, float) if name == "number" else int
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def validate(value, schema, root, where="$"):
    """The part of JSON Schema that our schema uses; an unknown keyword is an error, not ignored."""
    if set(schema) - KEYWORDS:
        yield f"{where}: keywords {set(schema) - KEYWORDS} are not known here"
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        yield from validate(value, target, root, where)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, t) for t in types):
        yield f"{where}: {value!r} is no {' or '.join(types)}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if isinstance(value, dict):
        for key in schema.get("required", []):
            if key not in value:
                yield f"{where}: {key} is missing"
        for key, item in value.items():
            if "properties" in schema and key not in schema["properties"]:
                yield f"{where}.{key} is not in the schema"
            else:
                yield from validate(item, schema.get("properties", {}).get(key, {}), root,
                                    f"{where}.{key}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{where}: {len(value)} items"
        for i, item in enumerate(value):
            yield from validate(item, schema.get("items", {}), root, f"{where}[{i}]")
    if "minimum" in schema and is_type(value, "number") and value < schema["minimum"]:
        yield f"{where}: {value} is below {schema['minimum']}"


def check_json(schema_path, path):
    def refuse(token):
        raise ValueError(f"{path}: {token} is no JSON")
    schema = json.loads(pathlib.Path(schema_path).read_text())
    value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"), parse_constant=refuse)
    return list(validate(value, schema, schema))


def broken_ones_are_noticed(schema):
    """The checks themselves: each of these must fail."""
    bad = ["<p>", "<p></b>", "<script>1</script>", '<img src="http://x/y.png"/>', '<a onclick="x">a</a>',
           '<a href="javascript:x">a</a>', "<style>@import 'x'</style>", "<p>&</p>"]
    with tempfile.TemporaryDirectory() as d:
        for b in bad:
            f = pathlib.Path(d, "bad.html")
            f.write_text(f"<!DOCTYPE html>\n<html><body>{b}</body></html>")
            assert check_html(f)[0], f"{b} passed"
    root = json.loads(pathlib.Path(schema).read_text())
    for b in [{}, {"schema": "x"}, {"schema": "octet.report/1", "images": 1.5},
              {"schema": "octet.report/1", "task": "x"}, {"schema": "octet.report/1", "new": 1},
              {"schema": "octet.report/1", "sides": [{}]}]:
        assert list(validate(b, root, root)), f"{b} passed"


def through_the_program(octet, source):
    here = pathlib.Path(source, "tests/reports")
    schema = pathlib.Path(source, "reports/report.schema.json")
    full = here / "full.json"
    errors = check_json(schema, full)
    broken_ones_are_noticed(schema)
    with tempfile.TemporaryDirectory() as d:
        for files in ([full], [full, full]):
            out = pathlib.Path(d, f"{len(files)}.html")
            run = subprocess.run([octet, "report", *files, "-o", out], capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            found, text = check_html(out)
            errors += found
            for name in ['<script>alert(1)</script>"\'&é', "<b>dog</b>", "hostile & <b>friends</b>"]:
                if name not in text:
                    errors.append(f"{name} is not shown as it is")
            if len(files) == 1 and run.stdout != (here / "full.txt").read_text(encoding="utf-8"):
                errors.append("the terminal text is not full.txt:\n" + run.stdout)
        printed = subprocess.run([octet, "report", "--schema"], capture_output=True, text=True)
        if printed.stdout != schema.read_text():
            errors.append("octet report --schema is not the file of the tree")
    return errors


def evaluated(octet, source, data):
    octet, data = pathlib.Path(octet).absolute(), pathlib.Path(data).absolute()
    model, images = data / "models/mobilenet_cifar10.onnx", data / "cifar10"
    if not model.exists() or not images.exists():
        print(f"SKIPPED: {model} or {images} is not there")
        sys.exit(77)
    errors = []
    with tempfile.TemporaryDirectory() as d:
        def run(*args):
            r = subprocess.run([octet, *args, "-q"], capture_output=True, text=True, cwd=d)
            assert r.returncode == 0, r.stderr
        how = [images / "test", "--preset", "cifar10", "--limit", "48", "--layers", "48"]
        run("calibrate", model, images / "calibration", "--preset", "cifar10", "--limit", "64", "-o", "s.h5")
        run("build", model, "--stats", "s.h5", "--method", "entropy", "-o", "a.engine")
        run("build", model, "--stats", "s.h5", "--exclude", "op:Gemm", "-o", "b.engine")
        how += ["--stats", "s.h5"]
        run("evaluate", model, "a.engine", "b.engine", model, *how, "-j1", "--json=1.json", "--report", "1.html")
        run("evaluate", model, "a.engine", "b.engine", model, *how, "-j3", "--json=3.json", "--report", "3.html")
        run("report", "1.json", "-o", "again.html")
        for kind in "json", "html":
            if pathlib.Path(d, f"1.{kind}").read_bytes() != pathlib.Path(d, f"3.{kind}").read_bytes():
                errors.append(f"1 and 3 threads give different {kind}")
        if pathlib.Path(d, "1.html").read_bytes() != pathlib.Path(d, "again.html").read_bytes():
            errors.append("octet report of the JSON is not the page that evaluate wrote")
        errors += check_json(pathlib.Path(source, "reports/report.schema.json"), pathlib.Path(d, "1.json"))
        errors += check_html(pathlib.Path(d, "1.html"))[0]
        report = json.loads(pathlib.Path(d, "1.json").read_text())
    int8, gemm, same = report["comparisons"]
    last = int8["values"][-1]
    if last["name"] != "logits" or abs(last["sqnr_db"] - int8["sqnr_db"]) > 1e-9 or \
            abs(last["cosine"] - int8["cosine"]) > 1e-12 or last["max_error"] != int8["max_error"]:
        errors.append(f"the output as a layer {last} is not the output {int8['sqnr_db']}")
    if not all(v["equal"] for v in same["values"]) or not same["values"]:
        errors.append("a model differs from itself")
    if len(int8["values"]) < 30 or len(int8["values"]) + len(int8["values_removed"]) != \
            len(same["values"]) + len(same["values_removed"]):
        errors.append("tensors are neither compared nor listed")
    if not all(5 < v["sqnr_db"] < 60 and 0.8 < v["cosine"] <= 1 for v in int8["values"]):
        errors.append("a tensor that is not that of the same name?")
    calibration = report["calibration"]
    if calibration["method"] != "entropy" or len(calibration["tensors"]) < 50 or \
            any(len(t["thresholds"]) != 4 or sum(t["histogram"]["counts"]) != t["values"]
                for t in calibration["tensors"]):
        errors.append("histograms or thresholds are missing")
    if len(report["weights"]) < 30 or not all(
            0 < w["amax_min"] <= w["amax_median"] <= w["amax_max"] and 20 < w["sqnr_db"] < 60
            for w in report["weights"]):
        errors.append("weight ranges")
    if not all(("scale" in v) == ("saturation" in v) for v in int8["values"]):
        errors.append("integers without scale or saturation")
    off = [n for n in report["sides"][2]["nodes"] if not n["quantized"]]
    if [n["op"] for n in off] != ["GlobalAveragePool", "Gemm"] or not off[0]["reason"]:
        errors.append(f"coverage: {off}")
    shown = [f for f in int8["flips"] if f.get("thumbnail", "").startswith("image/jpeg;base64,/9j/")]
    if len(shown) != min(len(int8["flips"]), 24) or not shown or shown[0]["label_name"] not in shown[0]["image"]:
        errors.append("flips without thumbnails or names")
    return errors


def main(kind, *args):
    if kind == "html":
        errors = [f"{f}: {e}" for f in args for e in check_html(f)[0]]
    elif kind == "json":
        errors = [f"{f}: {e}" for f in args[1:] for e in check_json(args[0], f)]
    elif kind == "evaluate":
        errors = evaluated(*args)
    else:
        errors = through_the_program(*args)
    print("\n".join(errors) if errors else "OK")
    return 1 if errors else 0


sys.exit(main(*sys.argv[1:]))
