"""The command line: parses, takes the cluster's lock, calls one function, prints one answer.

Answers (paths, shell lines) go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed with
a message, 2 wrong usage, 130 interrupted; `exec` passes on its command's.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from . import api, build, cleanup, images, lifecycle, network, nodes, processes
from .console import ClusterError, say
from .layout import NODE_NAME, Layout, full_name, load, lock, names

_PROFILES = tuple(lifecycle.PROFILES)


def main() -> int:
    """Run one subcommand and return the exit code."""
    arguments = _parser().parse_args()
    act: Callable[[argparse.Namespace], None] = arguments.act
    try:
        arguments.name = full_name(arguments.name)
        if os.geteuid() != 0 and arguments.act not in (_build, _list, _env, _kubeconfig, _audit_log):
            raise ClusterError("namespaces and containers need root: run this with sudo")
        act(arguments)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted; `up` goes on from here, `down` clears it", file=sys.stderr)
        return 130
    return 0


def _up(arguments: argparse.Namespace) -> None:
    with lock(arguments.name):
        lifecycle.up(arguments.name, arguments.profile)


def _down(arguments: argparse.Namespace) -> None:
    with lock(arguments.name):
        # A cluster whose run folder is lost (a reboot, say) can still have data and cgroups under its name.
        layout = load(arguments.name) or Layout(arguments.name, 0)
        if cleanup.leftovers(layout):
            cleanup.remove(layout)
            say(f"cluster {arguments.name} is gone")
        else:
            say(f"there is no cluster {arguments.name}")


def _list(_: argparse.Namespace) -> None:
    for name in names():
        print(name)


def _build(arguments: argparse.Namespace) -> None:
    build.ensure(lifecycle.PROFILES[arguments.profile])
    say(f"all programs of profile {arguments.profile} are in {build.cache()}")


def _status(arguments: argparse.Namespace) -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `status | head` is no error
    layout = _existing(arguments)
    print(f"cluster {layout.name} at {layout.server}, namespace {layout.netns}")
    for name in processes.recorded(layout):
        pid = processes.pid_of(layout, name)
        state = f"pid {pid:<8} {processes.resident_mib(pid):6.0f} MiB" if pid else "has ended"
        print(f"  {name:<26} {state}")
    admin = api.Admin(layout)
    if not admin.ready():
        print("  the API server is not ready")
        return
    print(api.kubectl(layout, "get", "nodes", "-o", "wide"), end="")


def _load_image(arguments: argparse.Namespace) -> None:
    layout = _existing(arguments)
    if processes.pid_of(layout, build.CONTAINERD.name) is None:
        raise ClusterError(f"load-image: cluster {layout.name} has no node: `cluster up --profile node` first")
    images.load(layout, arguments.archive)


def _kubeconfig(arguments: argparse.Namespace) -> None:
    print(_existing(arguments).kubeconfig)


def _audit_log(arguments: argparse.Namespace) -> None:
    print(_existing(arguments).audit_log)


def _env(arguments: argparse.Namespace) -> None:
    print(f"export KUBECONFIG={shlex.quote(str(_existing(arguments).kubeconfig))}")
    print(f'export PATH={shlex.quote(str(build.client_folder()))}:"$PATH"')


def _exec(arguments: argparse.Namespace) -> None:
    layout = _existing(arguments)
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise ClusterError("exec: expected a command after --")
    path = os.pathsep.join([str(build.client_folder()), os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
    argv = [*network.enter(layout), *command]
    os.execvpe(argv[0], argv, os.environ | {"KUBECONFIG": str(layout.kubeconfig), "PATH": path})


def _stop(arguments: argparse.Namespace) -> None:
    with lock(arguments.name):
        layout = _existing(arguments)
        name = lifecycle.daemon_of(layout, arguments.component).name
        processes.stop(layout, name, signal.SIGTERM if arguments.graceful else signal.SIGKILL)
        say(f"{name} is stopped")


def _start(arguments: argparse.Namespace) -> None:
    with lock(arguments.name):
        layout = _existing(arguments)
        daemon = lifecycle.daemon_of(layout, arguments.component)
        processes.start(layout, daemon)
        if daemon.name == build.KUBE_APISERVER.name:
            api.wait_ready(layout)
        say(f"{daemon.name} runs")


def _restart(arguments: argparse.Namespace) -> None:
    _stop(arguments)
    _start(arguments)


def _node_gpu(arguments: argparse.Namespace) -> None:
    nodes.set_gpus(api.Admin(_existing(arguments)), arguments.node, arguments.count)


def _kwok_nodes(arguments: argparse.Namespace) -> None:
    with lock(arguments.name):
        layout = _existing(arguments)
        nodes.ensure_fake_nodes(layout, api.Admin(layout), arguments.count)
        say(f"{arguments.count} fake nodes are Ready")


def _existing(arguments: argparse.Namespace) -> Layout:
    layout = load(arguments.name)
    if layout is None or not layout.kubeconfig.exists():
        raise ClusterError(f"there is no cluster {arguments.name}: `hack/cluster/cluster up` creates it")
    return layout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster", description="A real Kubernetes on this machine, without Docker.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, act: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--name", metavar="NAME", help="which of this checkout's clusters (default: $ASSAY_CLUSTER, else dev)"
        )
        command.set_defaults(act=act)
        return command

    def add_profile(command: argparse.ArgumentParser, default: str) -> None:
        text = "control-plane: API server and fake nodes; node: also real pods (default: %(default)s)"
        command.add_argument("--profile", choices=_PROFILES, default=default, help=text)

    def add_component(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command.add_argument("component", metavar="COMPONENT", help="such as apiserver, kubelet or etcd")
        command.set_defaults(graceful=False)
        return command

    add_profile(add("up", _up, "create or complete the cluster, and wait until it is ready"), "node")
    add("down", _down, "take the cluster down and leave nothing behind")
    add_profile(add("build", _build, "only build what a profile needs"), "node")
    add("list", _list, "print the names of this checkout's clusters")
    add("status", _status, "list daemons with their memory, and nodes")
    load_image = add("load-image", _load_image, "import a docker or OCI archive into the node")
    load_image.add_argument("archive", type=Path, metavar="ARCHIVE.tar")
    add("kubeconfig", _kubeconfig, "print the path of the admin kubeconfig")
    add("audit-log", _audit_log, "print the path of the API server's audit log (JSON lines)")
    add("env", _env, "print shell lines that set KUBECONFIG and PATH (kubectl, helm)")
    execute = add("exec", _exec, "run a command next to the node, inside its network namespace")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ...")
    stop = add_component(add("stop", _stop, "kill one component"))
    stop.add_argument("--graceful", action="store_true", help="SIGTERM instead of SIGKILL")
    add_component(add("start", _start, "start one component that was stopped"))
    add_component(add("restart", _restart, "kill and start one component"))
    api_server = {"component": "apiserver", "graceful": False}
    add("stop-apiserver", _stop, "kill the API server").set_defaults(**api_server)
    add("start-apiserver", _start, "start the API server and wait until it is ready").set_defaults(**api_server)
    gpu = add("node-gpu", _node_gpu, "write nvidia.com/gpu into a node's status")
    gpu.add_argument("count", type=int, metavar="COUNT")
    gpu.add_argument("--node", default=NODE_NAME, help="default: the real node")
    kwok = add("kwok-nodes", _kwok_nodes, "have at least COUNT fake nodes, kwok-0 and on")
    kwok.add_argument("count", type=int, metavar="COUNT")
    return parser
