"""Lint protos/coalition with buf, without fetching a module from anywhere.

The imports come from installed packages: google/ from googleapis-common-protos and grpcio-tools, buf/validate from the
descriptor inside protovalidate. protoc compiles ours together with them into one image, buf judges the image, and
findings about files that are not ours are dropped. Never rewrites a file.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.rpc import status_pb2

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
BUF = ROOT / "node_modules" / ".bin" / "buf"
VALIDATE = "buf/validate/validate.proto"
GOOGLE = ("google/rpc/error_details.proto", "google/rpc/status.proto", "google/type/date.proto")
# Exit status by which buf says "I worked, and I have findings".
BUF_FOUND = 100


def validate_descriptor() -> bytes:
    """Return buf/validate/validate.proto and its imports as a serialised FileDescriptorSet."""
    # The wheel ships the compiled descriptor only, in this private module; a moved module fails here by name.
    from protovalidate._gen.buf.validate import validate_pb  # noqa: PLC0415

    descriptors = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        descriptors.file.add().MergeFromString(module.DESCRIPTOR.serialized_pb)
    descriptors.file.add().MergeFromString(validate_pb.desc().proto.to_binary())
    return descriptors.SerializeToString()


def compile_image(files: list[str], folder: Path) -> Path:
    """Compile `files` (paths below protos/) with all they import into one image; exit when protoc refuses."""
    validate = folder / "validate.binpb"
    validate.write_bytes(validate_descriptor())
    # With --descriptor_set_in protoc reads no .proto of the imports in that set, so the google ones join it compiled.
    google = folder / "google.binpb"
    installed = Path(str(status_pb2.__file__)).parents[2]
    protoc("-I", str(installed), "--include_imports", "-o", str(google), *GOOGLE)
    image = folder / "image.binpb"
    protoc(
        f"--descriptor_set_in={validate}:{google}",
        "-I", str(PROTOS), "--include_imports", "--include_source_info", "-o", str(image), *files,
    )  # fmt: skip
    return image


def protoc(*arguments: str) -> None:
    """Run the protoc of grpcio-tools; exit when it refuses."""
    run = subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=False)
    if run.returncode:
        sys.exit(run.returncode)


def findings(image: Path) -> list[str]:
    """Return one line per rule that our files break; exit when buf itself fails."""
    run = subprocess.run(
        [BUF, "lint", "--error-format", "json", str(image)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode not in (0, BUF_FOUND):
        sys.exit(f"buf lint failed: {run.stderr or run.stdout}")
    found = [json.loads(line) for line in run.stdout.splitlines()]
    return [
        f"protos/{each['path']}:{each.get('start_line', 1)}: {each['message']} [{each['type']}]"
        for each in found
        if each["path"].startswith("coalition/")
    ]


def main() -> int:
    """Lint every proto of ours; return 1 when a rule is broken."""
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("coalition/**/*.proto"))
    if not files:
        print("buf lint: no proto below protos/coalition yet")
        return 0
    if not BUF.exists():
        sys.exit(f"buf is missing: run `make lint-protos`, which installs it by npm into {BUF.relative_to(ROOT)}")
    with tempfile.TemporaryDirectory() as folder:
        broken = findings(compile_image(files, Path(folder)))
    for line in broken:
        print(line)
    print(f"buf lint: {len(files)} files, {len(broken)} findings")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
