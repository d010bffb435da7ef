//! Every setting, in Gunicorn's order. A new setting is one literal here; what it leaves out is in [`PLAIN`].

use super::kind::{Choice, Kind};
use super::setting::{Account, Form, Missing, PLAIN, Section, Setting, Source, Takes, When};
use super::value::Literal;

/// Every setting. Names, classes, flags, defaults and sections are Gunicorn 27's, apart from those marked as ours.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "config",
        class: "ConfigFile",
        section: Section::ConfigFile,
        flags: &["-c", "--config"],
        takes: Takes::Text("CONFIG"),
        default: Literal::Text("./gunicorn.conf.py"),
        description: "The configuration file: `PATH`, `file:PATH`, or `python:MODULE` for a module that can be imported.

It is read only from the command line and from `GUNICORN_CMD_ARGS`; inside a configuration file it has no effect. Without
it `gunicorn.conf.py` in the directory of the start is read if it is there.",
        ..PLAIN
    },
    Setting {
        name: "wsgi_app",
        class: "WSGIApp",
        section: Section::ConfigFile,
        description: "The application, as `MODULE:NAME` or `MODULE:FACTORY(ARGUMENTS)`.

Used when the command line names no application.",
        ..PLAIN
    },
    Setting {
        name: "bind",
        class: "Bind",
        section: Section::ServerSocket,
        flags: &["-b", "--bind"],
        takes: Takes::Several("ADDRESS"),
        kind: Kind::Addresses,
        default: Literal::List(&["127.0.0.1:8000"]),
        source: Some(Source::Variable("PORT", Form::Port)),
        description: "Where to listen: `HOST`, `HOST:PORT`, `[V6]:PORT`, `:PORT`, `unix:PATH` or `fd://NUMBER`.

May be given several times. With the environment variable `PORT` set, the default is that port at every IPv4 address.",
        mistaken: &["bind_address", "bind_addr", "bind_to", "binds", "listen_address"],
        ..PLAIN
    },
    Setting {
        name: "backlog",
        class: "Backlog",
        section: Section::ServerSocket,
        flags: &["--backlog"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(2048),
        description: "How many connections may wait to be accepted, per listener.

The kernel may cut this to its own maximum (`net.core.somaxconn`).",
        ..PLAIN
    },
    Setting {
        name: "workers",
        class: "Workers",
        section: Section::WorkerProcesses,
        flags: &["-w", "--workers"],
        takes: Takes::WholeOr("INT", "auto"),
        kind: Kind::Workers,
        default: Literal::Int(1),
        source: Some(Source::Variable("WEB_CONCURRENCY", Form::Whole)),
        description: "The number of worker processes, or `auto`: as many as the machine is good for.

The environment variable `WEB_CONCURRENCY` gives another default. With 0 the arbiter runs without workers until it is
told to add some (`SIGTTIN`).

`auto` counts the CPUs that the process may use, less what the CPU quota of its control groups takes away. A worker class that
serves one request at a time (`sync`) gets 2 x CPUs + 1 workers, any other one for each CPU. There are never more than
fit into the memory of the machine and of the control groups, at 128 MiB each. The log shows the sum at start. Gunicorn
does not know `auto`.",
        mistaken: &["worker", "num_workers", "number_of_workers", "worker_count", "worker_processes", "workers_count"],
        ..PLAIN
    },
    Setting {
        name: "worker_class",
        class: "WorkerClass",
        section: Section::WorkerProcesses,
        flags: &["-k", "--worker-class"],
        takes: Takes::Text("CLASS"),
        kind: Kind::Class,
        default: Literal::Text("sync"),
        source: Some(Source::Platform("CC_GUNICORN_WORKER_CLASS", Form::Text)),
        description: "How a worker runs the application: a name, or `module.Class` of a worker class of one's own.

A worker of each class holds any number of open connections. `sync` serves one request at a time, `gthread` as many as it has
`threads`. `gevent` and `eventlet` serve any number, each in a greenlet: the library of that name must be installed, and
replaces what blocks in the standard library by what lets other greenlets run. `gevent_pywsgi` and `gevent_wsgi` mean
`gevent`. `tornado` runs applications of tornado's in tornado's own loop and HTTP server, and WSGI applications there, too.",
        mistaken: &["worker_int_class", "worker_type", "workers_class"],
        ..PLAIN
    },
    Setting {
        name: "threads",
        class: "WorkerThreads",
        section: Section::WorkerProcesses,
        flags: &["--threads"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1),
        description: "Threads that run the application in each worker.

More than 1 asks for the worker class `gthread`.",
        mistaken: &["num_threads", "worker_threads", "number_of_threads"],
        ..PLAIN
    },
    Setting {
        name: "worker_connections",
        class: "WorkerConnections",
        section: Section::WorkerProcesses,
        flags: &["--worker-connections"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1000),
        description: "Open connections that one worker holds at most.

When it is reached, idle connections are closed first.",
        mistaken: &["max_worker_connections", "worker_max_connections"],
        ..PLAIN
    },
    Setting {
        name: "max_requests",
        class: "MaxRequests",
        section: Section::WorkerProcesses,
        flags: &["--max-requests"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Requests after which a worker is replaced; 0 means never.

It limits the damage of an application that leaks memory.",
        mistaken: &["max_requests_per_child", "max_requests_per_worker", "worker_max_requests"],
        ..PLAIN
    },
    Setting {
        name: "max_requests_jitter",
        class: "MaxRequestsJitter",
        section: Section::WorkerProcesses,
        flags: &["--max-requests-jitter"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Each worker adds a random number from 0 to this to `max_requests`.

So that workers that started together are not replaced together.",
        ..PLAIN
    },
    Setting {
        name: "max_worker_lifetime",
        class: "MaxWorkerLifetime",
        section: Section::WorkerProcesses,
        flags: &["--max-worker-lifetime"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Seconds after which a worker is replaced; 0 means never.

The replacement is ready before the old worker leaves, and one worker is replaced at a time.",
        mistaken: &["worker_lifetime", "workers_lifetime"],
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "max_worker_lifetime_jitter",
        class: "MaxWorkerLifetimeJitter",
        section: Section::WorkerProcesses,
        flags: &["--max-worker-lifetime-jitter"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Each worker adds a random number of seconds from 0 to this to `max_worker_lifetime`.

So that workers that started together are not replaced together.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "max_worker_memory",
        class: "MaxWorkerMemory",
        section: Section::WorkerProcesses,
        flags: &["--max-worker-memory"],
        takes: Takes::Text("SIZE"),
        kind: Kind::Memory,
        default: Literal::None,
        description: "Private memory of a worker beyond which it is replaced: bytes (`300000000`, `300M`, `1.5Gi`; `G` and `Gi` are both 1024³), or a part of what the control group or the machine has (`20%`).

It is looked at every two seconds; memory that the worker shares with others does not count. The replacement is ready before the old worker leaves, and one worker is replaced at a time. Where new workers are too large as well, they are looked at less and less often.",
        mistaken: &["max_memory", "worker_max_memory", "reload_on_rss", "workers_max_rss"],
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "timeout",
        class: "Timeout",
        section: Section::WorkerProcesses,
        flags: &["-t", "--timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        source: Some(Source::Platform("CC_GUNICORN_TIMEOUT", Form::Whole)),
        description: "Seconds that a request may keep a worker busy before the worker is killed and replaced; 0 means no limit.

In `gthread`, `gevent` and `eventlet` a request that waits keeps nobody busy: `request_timeout` is the limit for one request.",
        mistaken: &["worker_timeout"],
        ..PLAIN
    },
    Setting {
        name: "request_timeout",
        class: "RequestTimeout",
        section: Section::WorkerProcesses,
        flags: &["--request-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Seconds that one request may take in the application before it is ended, without its worker; 0 means no limit.

Its client gets a 504 at once, or, if the response has begun, the end of the connection; the error log names the request and shows
where in the code it is; and `rgunicorn.errors.RequestTimeout` is raised there. It is a `BaseException`, so that no handler for ordinary
errors takes it for one. A thread that waits in the system or in an extension cannot hear of it before that returns; only in the main
thread (`sync`, `gevent`, `eventlet`) calls such as `time.sleep` and `recv` are left at once. A request that has not ended after
the same time again costs its worker: a replacement is started, then the worker is told to leave, and `graceful_timeout` later
it is killed.

The application has the limit as `environ[\"rgunicorn.deadline\"]`: `at` (of `time.monotonic()`; `math.inf` for none) can be set,
`remaining` tells the seconds that are left, `extend(seconds)` adds some. A request that takes its socket over has no limit from then on.
Where the worker serves one request at a time, `timeout` should be longer. `tornado` has no such limit.",
        mistaken: &["thread_timeout"],
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "graceful_timeout",
        class: "GracefulTimeout",
        section: Section::WorkerProcesses,
        flags: &["--graceful-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        description: "Seconds that a worker told to leave may take to finish what it is doing.

While the service goes on (a reload, `max_requests`, fewer workers) a worker of the classes `sync` and `gthread` that still has
requests may take as long as `timeout`, if that is more.",
        mistaken: &["graceful_shutdown_timeout", "shutdown_timeout"],
        ..PLAIN
    },
    Setting {
        name: "shutdown_delay",
        class: "ShutdownDelay",
        section: Section::WorkerProcesses,
        flags: &["--shutdown-delay"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Seconds that the service goes on accepting connections when it was told to end by TERM.

Whoever sends it requests learns meanwhile that it will end: `ready_path` answers 503, and responses end their connections.",
        mistaken: &["drain_timeout", "pre_stop_delay"],
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "keepalive",
        class: "Keepalive",
        section: Section::WorkerProcesses,
        flags: &["--keep-alive"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(75),
        description: "Seconds that an idle connection is kept open for the next request; 0 closes after each response.

It should be longer than the idle time of the load balancer in front (often 60 seconds): a connection that the
balancer still uses while the server closes it becomes a 502.",
        mistaken: &["keepalive_timeout", "keep_alive_timeout"],
        ..PLAIN
    },
    Setting {
        name: "limit_request_line",
        class: "LimitRequestLine",
        section: Section::Security,
        flags: &["--limit-request-line"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(4094),
        description: "Bytes that a request line may have, without its line end; 0 means no limit, anything above 8190 means 8190.",
        ..PLAIN
    },
    Setting {
        name: "limit_request_fields",
        class: "LimitRequestFields",
        section: Section::Security,
        flags: &["--limit-request-fields"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(100),
        description: "Header fields that a request may have.

0, and anything above 32768, means 32768.",
        ..PLAIN
    },
    Setting {
        name: "limit_request_field_size",
        class: "LimitRequestFieldSize",
        section: Section::Security,
        flags: &["--limit-request-field_size"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(8190),
        description: "Bytes that one header field may have, from its name to its line end; 0 means 8190.",
        ..PLAIN
    },
    Setting {
        name: "limit_request_body",
        class: "LimitRequestBody",
        section: Section::Security,
        flags: &["--limit-request-body"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Bytes that a request body may have; a larger one is answered 413. 0 means no limit.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "header_timeout",
        class: "HeaderTimeout",
        section: Section::SlowClients,
        flags: &["--header-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        description: "Seconds within which a request head must be complete, or it is answered 408; 0 means no limit.

Counted from the head's first byte, or on a new connection from its acceptance.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "body_timeout",
        class: "BodyTimeout",
        section: Section::SlowClients,
        flags: &["--body-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(60),
        description: "Seconds that a client may stay silent while it sends a request body; 0 means no limit.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "send_timeout",
        class: "SendTimeout",
        section: Section::SlowClients,
        flags: &["--send-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(60),
        description: "Seconds that a client may take nothing of a response that waits for it; 0 means no limit.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "stream_request_body",
        class: "StreamRequestBody",
        section: Section::SlowClients,
        flags: &["--stream-request-body"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Call the application before the request body is there, and let `wsgi.input` read it from the socket.

A slow client then holds a worker for as long as the application reads.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "request_body_memory",
        class: "RequestBodyMemory",
        section: Section::SlowClients,
        flags: &["--request-body-memory"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1048576),
        description: "Bytes of a request body that are kept in memory; a larger body goes to a temporary file in `tmp_upload_dir`.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "response_memory",
        class: "ResponseMemory",
        section: Section::SlowClients,
        flags: &["--response-memory"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1048576),
        description: "Bytes of a response waiting for its client that are kept in memory.

What is beyond goes to a temporary file in `tmp_upload_dir`.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "response_file_limit",
        class: "ResponseFileLimit",
        section: Section::SlowClients,
        flags: &["--response-file-limit"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1073741824),
        description: "Bytes of a response waiting for its client beyond which the application has to wait.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "reload",
        class: "Reload",
        section: Section::Debugging,
        flags: &["--reload"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Restart the workers when the source of the application changes; for development.

Every module that has been imported is watched, and what `reload_extra_files` adds.",
        mistaken: &["autoreload", "auto_reload"],
        ..PLAIN
    },
    Setting {
        name: "reload_engine",
        class: "ReloadEngine",
        section: Section::Debugging,
        flags: &["--reload-engine"],
        takes: Takes::Text("WORD"),
        kind: Kind::Choice(&Choice { words: &["auto", "poll", "inotify"], aliases: &[], switch: None, exact: true, refusal: "Invalid reload_engine: {quoted}", no_text: "" }),
        default: Literal::Text("auto"),
        description: "How `reload` learns of changes: `poll` looks at the files every second, `inotify` is told by the kernel.

`inotify` needs the Python package of that name; `auto` takes it if it is there. With `gevent` and `eventlet` it is always `poll`.",
        ..PLAIN
    },
    Setting {
        name: "reload_extra_files",
        class: "ReloadExtraFiles",
        section: Section::Debugging,
        flags: &["--reload-extra-file"],
        takes: Takes::Several("FILE"),
        kind: Kind::Files,
        default: Literal::List(&[]),
        description: "Further files that `reload` watches: templates, configuration, or patterns such as `templates/**/*.html`.

May be given several times.",
        ..PLAIN
    },
    Setting {
        name: "reload_surge",
        class: "ReloadSurge",
        section: Section::ServerMechanics,
        flags: &["--reload-surge"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "How many workers HUP starts at a time, before as many old ones leave; 0 means a quarter of them, at least one.

The first one of all starts alone: where it does not boot, no other is tried and the old workers stay.",
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "touch_reload",
        class: "TouchReload",
        section: Section::ServerMechanics,
        flags: &["--touch-reload"],
        takes: Takes::Several("FILE"),
        kind: Kind::List,
        default: Literal::List(&[]),
        description: "Files whose change does what HUP does: `touch`, writing, replacing, making or removing one of them. They need not exist.
Relative paths start at `chdir`.

A link anywhere on the way to a file that is made to point elsewhere is a change if another file is found then. Of a directory only that counts: files in it may come and go.
What happens within 100 ms is one reload. On Linux the kernel tells of changes; where it cannot (network filesystems, directories that may not be read), and on other systems, the files are looked at once a second.

May be given several times.",
        mistaken: &["touch_reload_file"],
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "ready_path",
        class: "ReadyPath",
        section: Section::ServerMechanics,
        flags: &["--ready-path"],
        takes: Takes::Text("PATH"),
        kind: Kind::UrlPath,
        default: Literal::None,
        description: "A path that the workers answer for the application: 200 while the service takes requests, 503 once it was told to end.

For the health checks of load balancers and orchestrators. The 503 can be seen during `shutdown_delay`. A worker that is
replaced while the service goes on answers 200. The path is compared with the whole path of the request, whatever its
method or query; the access log, hooks and `max_requests` treat such a request like any other. Applications of WSGI and ASGI have it
with every worker class, those of tornado with `tornado`.",
        mistaken: &["health_path", "health_check_path", "readiness_path"],
        ours: true,
        ..PLAIN
    },
    Setting {
        name: "spew",
        class: "Spew",
        section: Section::Debugging,
        flags: &["--spew"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Print every line of Python that is executed. It is a last resort for debugging, and very slow.",
        ..PLAIN
    },
    Setting {
        name: "check_config",
        class: "ConfigCheck",
        section: Section::Debugging,
        flags: &["--check-config"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Check the configuration, import the application, and exit: with status 0 if both are good, else 1.",
        ..PLAIN
    },
    Setting {
        name: "print_config",
        class: "PrintConfig",
        section: Section::Debugging,
        flags: &["--print-config"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Print every setting with its value, then do as `--check-config`.",
        ..PLAIN
    },
    Setting {
        name: "preload_app",
        class: "PreloadApp",
        section: Section::ServerMechanics,
        flags: &["--preload"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Import the application before the workers are forked.

It saves memory and start-up time. HUP loads new code too: once a process has proved that it loads, the arbiter executes its program anew in
place, as the same process, and replaces the workers. `gevent` and `eventlet` patch the standard library in the workers, which is too late for what has been imported: an application for these should patch it by itself first.",
        mistaken: &["preload", "preload_application", "preloaded_app"],
        ..PLAIN
    },
    Setting {
        name: "sendfile",
        class: "Sendfile",
        section: Section::ServerMechanics,
        flags: &["--no-sendfile"],
        takes: Takes::Nothing { stores: false },
        kind: Kind::Bool,
        description: "Do not send files with the system call sendfile.

Unset, the environment variable `SENDFILE` decides (`1`, `y`, `yes` or `true` means yes), and without it files are sent
with sendfile.",
        ..PLAIN
    },
    Setting {
        name: "reuse_port",
        class: "ReusePort",
        section: Section::ServerMechanics,
        flags: &["--reuse-port"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Let each worker open listening sockets of its own with `SO_REUSEPORT`.

The kernel then spreads connections over the workers by a hash, whether they are busy or not.",
        ..PLAIN
    },
    Setting {
        name: "chdir",
        class: "Chdir",
        section: Section::ServerMechanics,
        flags: &["--chdir"],
        takes: Takes::Text("DIRECTORY"),
        kind: Kind::Directory,
        default: Literal::Text("."),
        source: Some(Source::StartDirectory),
        description: "The directory to work in; it is also put in front of `sys.path`.",
        mistaken: &["working_directory"],
        ..PLAIN
    },
    Setting {
        name: "daemon",
        class: "Daemon",
        section: Section::ServerMechanics,
        flags: &["-D", "--daemon"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Detach from the terminal and run in the background.

Not under systemd or in a container: there the process that was started has to stay.",
        ..PLAIN
    },
    Setting {
        name: "raw_env",
        class: "Env",
        section: Section::ServerMechanics,
        flags: &["-e", "--env"],
        takes: Takes::Several("NAME=VALUE"),
        kind: Kind::List,
        default: Literal::List(&[]),
        description: "Set an environment variable for the application, as `NAME=VALUE`.

May be given several times.",
        ..PLAIN
    },
    Setting {
        name: "pidfile",
        class: "Pidfile",
        section: Section::ServerMechanics,
        flags: &["-p", "--pid"],
        takes: Takes::Text("FILE"),
        description: "The file to write the arbiter's process id into. Unset, none is written.",
        mistaken: &["pid", "pid_path"],
        ..PLAIN
    },
    Setting {
        name: "worker_tmp_dir",
        class: "WorkerTmpDir",
        section: Section::ServerMechanics,
        flags: &["--worker-tmp-dir"],
        takes: Takes::Text("DIRECTORY"),
        description: "Accepted for the sake of existing configurations: workers have no heartbeat file here, so nothing is written.",
        ..PLAIN
    },
    Setting {
        name: "user",
        class: "User",
        section: Section::ServerMechanics,
        flags: &["-u", "--user"],
        takes: Takes::Text("USER"),
        kind: Kind::Id(Account::User),
        source: Some(Source::Account(Account::User)),
        description: "Who the workers run as: a user name or id. The arbiter keeps the rights it was started with.",
        ..PLAIN
    },
    Setting {
        name: "group",
        class: "Group",
        section: Section::ServerMechanics,
        flags: &["-g", "--group"],
        takes: Takes::Text("GROUP"),
        kind: Kind::Id(Account::Group),
        source: Some(Source::Account(Account::Group)),
        description: "The group that the workers run as: its name or id.",
        ..PLAIN
    },
    Setting {
        name: "umask",
        class: "Umask",
        section: Section::ServerMechanics,
        flags: &["-m", "--umask"],
        takes: Takes::Mode("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "The file mode bits that are taken away from Unix sockets.

On the command line `0022` is octal; in a configuration file write `0o022`.",
        ..PLAIN
    },
    Setting {
        name: "initgroups",
        class: "Initgroups",
        section: Section::ServerMechanics,
        flags: &["--initgroups"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Give the workers all the groups that `user` belongs to, not only `group`.",
        ..PLAIN
    },
    Setting {
        name: "tmp_upload_dir",
        class: "TmpUploadDir",
        section: Section::ServerMechanics,
        description: "The directory of temporary files for large request bodies and for responses that wait for slow clients.

Unset, it is the system's. The files have no name, so none are left behind.",
        ..PLAIN
    },
    Setting {
        name: "secure_scheme_headers",
        class: "SecureSchemeHeader",
        section: Section::ServerMechanics,
        kind: Kind::Dict,
        default: Literal::Dict(&[("X-FORWARDED-PROTOCOL", "ssl"), ("X-FORWARDED-PROTO", "https"), ("X-FORWARDED-SSL", "on")]),
        description: "Headers, in upper case, and the value with which each says that the client used HTTPS.

They are believed only from `forwarded_allow_ips`.",
        ..PLAIN
    },
    Setting {
        name: "forwarded_allow_ips",
        class: "ForwardedAllowIPS",
        section: Section::ServerMechanics,
        flags: &["--forwarded-allow-ips"],
        takes: Takes::Text("LIST"),
        kind: Kind::Networks,
        default: Literal::Text("127.0.0.1,::1"),
        source: Some(Source::Variable("FORWARDED_ALLOW_IPS", Form::Text)),
        description: "Proxies whose forwarding headers are believed: addresses and networks separated by commas, or `*` for all.

The environment variable `FORWARDED_ALLOW_IPS` gives another default.",
        mistaken: &["proxy_headers", "x_forwarded_for_header", "forwarded_allowed_ips", "trusted_proxies"],
        ..PLAIN
    },
    Setting {
        name: "accesslog",
        class: "AccessLog",
        section: Section::Logging,
        flags: &["--access-logfile"],
        takes: Takes::Text("FILE"),
        description: "The file of the access log; `-` is standard output. Unset, there is none.",
        mistaken: &["access_logfile", "access_log_file", "accesslog_file"],
        ..PLAIN
    },
    Setting {
        name: "disable_redirect_access_to_syslog",
        class: "DisableRedirectAccessToSyslog",
        section: Section::Logging,
        flags: &["--disable-redirect-access-to-syslog"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "With `syslog`, send only the error log there, not the access log.",
        ..PLAIN
    },
    Setting {
        name: "access_log_format",
        class: "AccessLogFormat",
        section: Section::Logging,
        flags: &["--access-logformat"],
        takes: Takes::Text("FORMAT"),
        default: Literal::Text(r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#),
        description: "The form of a line in the access log: atoms in any text, or `combined` (which is the default), `json` or `logfmt`.

| atom | is |
| --- | --- |
| `%(h)s` | the client's address |
| `%(l)s` | always `-` |
| `%(u)s` | the user name of HTTP Basic authentication |
| `%(t)s` | the date and time |
| `%(r)s` | the request line |
| `%(m)s` `%(U)s` `%(q)s` `%(H)s` | its method, path, query and protocol |
| `%(s)s` | the status |
| `%(b)s` `%(B)s` | the bytes of the body that were sent, as text (`-` if unknown) and as a number |
| `%(f)s` `%(a)s` | the headers `Referer` and `User-Agent` |
| `%(T)s` `%(M)s` `%(D)s` `%(L)s` | the time it took in seconds, milliseconds, microseconds and as seconds with a fraction |
| `%(p)s` | the process id of the worker |
| `%({name}i)s` `%({name}o)s` `%({name}e)s` | a request header, a response header, an entry of the environ |
| `%(reason)s` | how the request ended: `ok`, `error` (of the application), `client_gone`, `timeout`, `killed` (the worker), `bad_request` or `shutdown` |
| `%(request_id)s` | its name: `X-Request-ID`, else the trace of `traceparent`, else a new one; the application has it as `rgunicorn.request_id` |
| `%(queue_time)s` `%(app_time)s` `%(send_time)s` | seconds that it waited for a free worker, that the application took, and from then until the response was sent |

Every request has a line, also one that was refused, cut short or never answered; a status of `000` says that nothing was sent.
`json` and `logfmt` tell `time`, `remote_addr`, `user`, `method`, `target`, `protocol`, `status`, `bytes`, `duration`, `queue_time`, `app_time`, `send_time`,
`reason`, `request_id`, `referer`, `user_agent` and `pid`.",
        mistaken: &["access_logformat", "accesslog_format", "log_format"],
        ..PLAIN
    },
    Setting {
        name: "errorlog",
        class: "ErrorLog",
        section: Section::Logging,
        flags: &["--error-logfile", "--log-file"],
        takes: Takes::Text("FILE"),
        default: Literal::Text("-"),
        description: "The file of the error log; `-` is standard error.",
        mistaken: &["logfile", "log_file", "error_log_file", "errorlog_file"],
        ..PLAIN
    },
    Setting {
        name: "loglevel",
        class: "Loglevel",
        section: Section::Logging,
        flags: &["--log-level"],
        takes: Takes::Text("LEVEL"),
        default: Literal::Text("info"),
        source: Some(Source::Platform("CC_GUNICORN_LOGLEVEL", Form::Text)),
        description: "The least severe level that the error log shows: `debug`, `info`, `warning`, `error` or `critical`.",
        mistaken: &["logging_level", "log_lvl"],
        ..PLAIN
    },
    Setting {
        name: "capture_output",
        class: "CaptureOutput",
        section: Section::Logging,
        flags: &["--capture-output"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Send standard output and standard error to the error log's file.",
        ..PLAIN
    },
    Setting {
        name: "logger_class",
        class: "LoggerClass",
        section: Section::Logging,
        flags: &["--logger-class"],
        takes: Takes::Text("CLASS"),
        kind: Kind::Class,
        default: Literal::Text("gunicorn.glogging.Logger"),
        description: "What the server logs with: `module.Class` of a logger of one's own.

Usually a subclass of `gunicorn.glogging.Logger`. With that default and `statsd_host`, the logger also sends metrics.",
        ..PLAIN
    },
    Setting {
        name: "logconfig",
        class: "LogConfig",
        section: Section::Logging,
        flags: &["--log-config"],
        takes: Takes::Text("FILE"),
        description: "A file of Python's `logging.config.fileConfig` (INI) that sets up the loggers `gunicorn.error` and `gunicorn.access`.",
        ..PLAIN
    },
    Setting {
        name: "logconfig_dict",
        class: "LogConfigDict",
        section: Section::Logging,
        kind: Kind::Dict,
        default: Literal::Dict(&[]),
        description: "A dictionary of Python's `logging.config.dictConfig`, laid over the default one.

It is stronger than `logconfig_json`, which is stronger than `logconfig`.",
        mistaken: &["logging_config", "log_config_dict"],
        ..PLAIN
    },
    Setting {
        name: "logconfig_json",
        class: "LogConfigJson",
        section: Section::Logging,
        flags: &["--log-config-json"],
        takes: Takes::Text("FILE"),
        description: "A JSON file with the dictionary of `logconfig_dict`.",
        ..PLAIN
    },
    Setting {
        name: "syslog_addr",
        class: "SyslogTo",
        section: Section::Logging,
        flags: &["--log-syslog-to"],
        takes: Takes::Text("ADDRESS"),
        default: Literal::Text("udp://localhost:514"),
        description: "Where syslog listens: `udp://HOST:PORT`, `tcp://HOST:PORT`, or `unix://PATH` with `#stream` or `#dgram` behind it.",
        ..PLAIN
    },
    Setting {
        name: "syslog",
        class: "Syslog",
        section: Section::Logging,
        flags: &["--log-syslog"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Send the logs to syslog as well.",
        ..PLAIN
    },
    Setting {
        name: "syslog_prefix",
        class: "SyslogPrefix",
        section: Section::Logging,
        flags: &["--log-syslog-prefix"],
        takes: Takes::Text("NAME"),
        description: "The name of the program in syslog, behind `gunicorn.`. Unset, it is the name of the process.",
        ..PLAIN
    },
    Setting {
        name: "syslog_facility",
        class: "SyslogFacility",
        section: Section::Logging,
        flags: &["--log-syslog-facility"],
        takes: Takes::Text("FACILITY"),
        default: Literal::Text("user"),
        description: "The syslog facility.",
        ..PLAIN
    },
    Setting {
        name: "enable_stdio_inheritance",
        class: "EnableStdioInheritance",
        section: Section::Logging,
        flags: &["-R", "--enable-stdio-inheritance"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "With `daemon`, keep standard output and standard error instead of sending them to /dev/null.",
        ..PLAIN
    },
    Setting {
        name: "statsd_host",
        class: "StatsdHost",
        section: Section::Logging,
        flags: &["--statsd-host"],
        takes: Takes::Text("ADDRESS"),
        kind: Kind::StatsdAddress,
        description: "Where metrics go: `HOST:PORT` or `unix://PATH` of a StatsD server. Unset, there are none.

The port is 8125 unless given.",
        ..PLAIN
    },
    Setting {
        name: "dogstatsd_tags",
        class: "DogstatsdTags",
        section: Section::Logging,
        flags: &["--dogstatsd-tags"],
        takes: Takes::Text("TAGS"),
        default: Literal::Text(""),
        description: "Tags of every metric, separated by commas, as DogStatsD understands them.",
        ..PLAIN
    },
    Setting {
        name: "statsd_prefix",
        class: "StatsdPrefix",
        section: Section::Logging,
        flags: &["--statsd-prefix"],
        takes: Takes::Text("PREFIX"),
        default: Literal::Text(""),
        description: "What the names of metrics begin with; a dot is added if it has none.",
        ..PLAIN
    },
    Setting {
        name: "enable_backlog_metric",
        class: "BacklogMetric",
        section: Section::Logging,
        flags: &["--enable-backlog-metric"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Also send how many connections wait to be accepted.",
        ..PLAIN
    },
    Setting {
        name: "proc_name",
        class: "Procname",
        section: Section::ProcessNaming,
        flags: &["-n", "--name"],
        takes: Takes::Text("NAME"),
        description: "The name of the service in the titles of its processes. Unset, it is `default_proc_name`.",
        mistaken: &["process_name"],
        ..PLAIN
    },
    Setting {
        name: "default_proc_name",
        class: "DefaultProcName",
        section: Section::ProcessNaming,
        default: Literal::Text("gunicorn"),
        description: "The name when `proc_name` is unset: set by the server to the application that the command line names.",
        ..PLAIN
    },
    Setting {
        name: "pythonpath",
        class: "PythonPath",
        section: Section::ServerMechanics,
        flags: &["--pythonpath"],
        takes: Takes::Text("DIRECTORIES"),
        description: "Directories, separated by commas, to put in front of `sys.path`.",
        ..PLAIN
    },
    Setting {
        name: "paste",
        class: "Paste",
        section: Section::ServerMechanics,
        flags: &["--paste", "--paster"],
        takes: Takes::Text("FILE"),
        description: "Serve the application of a PasteDeploy file: `FILE`, or `FILE#NAME` for one of several in it.

It is stronger than an application named otherwise. A section `[loggers]` in the file is used as `logconfig`.",
        ..PLAIN
    },
    Setting {
        name: "on_starting",
        class: "OnStarting",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the arbiter before it listens.",
        ..PLAIN
    },
    Setting {
        name: "on_reload",
        class: "OnReload",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the arbiter when it has read its configuration again (`SIGHUP`).",
        ..PLAIN
    },
    Setting {
        name: "when_ready",
        class: "WhenReady",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the arbiter when it listens and is about to start workers.",
        ..PLAIN
    },
    Setting {
        name: "pre_fork",
        class: "Prefork",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the arbiter and the new worker, in the arbiter, before the fork.",
        ..PLAIN
    },
    Setting {
        name: "post_fork",
        class: "Postfork",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the arbiter and the new worker, in the worker, after the fork.",
        ..PLAIN
    },
    Setting {
        name: "post_worker_init",
        class: "PostWorkerInit",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the worker when it has loaded the application.",
        mistaken: &["worker_init"],
        ..PLAIN
    },
    Setting {
        name: "worker_int",
        class: "WorkerInt",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the worker when it is told to leave at once (`SIGINT` or `SIGQUIT`).",
        ..PLAIN
    },
    Setting {
        name: "worker_abort",
        class: "WorkerAbort",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the worker when it has exceeded `timeout` (`SIGABRT`).",
        ..PLAIN
    },
    Setting {
        name: "pre_exec",
        class: "PreExec",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the arbiter before the new server is executed (`SIGUSR2`).",
        ..PLAIN
    },
    Setting {
        name: "pre_request",
        class: "PreRequest",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the worker and the request, before the application.",
        ..PLAIN
    },
    Setting {
        name: "post_request",
        class: "PostRequest",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[4, 3, 2]),
        description: "Called with the worker, the request, the environ and the response, when the response is done.

A callable with three or two positional parameters gets only the first ones.",
        ..PLAIN
    },
    Setting {
        name: "child_exit",
        class: "ChildExit",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the arbiter and the worker, in the arbiter, when the worker is gone.",
        ..PLAIN
    },
    Setting {
        name: "worker_exit",
        class: "WorkerExit",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the arbiter and the worker, in the worker, when it is about to exit.",
        ..PLAIN
    },
    Setting {
        name: "nworkers_changed",
        class: "NumWorkersChanged",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[3]),
        description: "Called with the arbiter, the new and the former number of workers (at first `None`).",
        ..PLAIN
    },
    Setting {
        name: "on_exit",
        class: "OnExit",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the arbiter before it exits.",
        ..PLAIN
    },
    Setting {
        name: "ssl_context",
        class: "NewSSLContext",
        section: Section::ServerHooks,
        kind: Kind::Hook(&[2]),
        // Gunicorn's example configuration has it: it asks for nothing as long as there is neither certificate nor key.
        description: "Called with the configuration and a function that makes the default `SSLContext`; gives the one to use. Not called without `certfile` or `keyfile`.",
        ..PLAIN
    },
    Setting {
        name: "proxy_protocol",
        class: "ProxyProtocol",
        section: Section::ServerMechanics,
        flags: &["--proxy-protocol"],
        takes: Takes::Optional { meta: "MODE", without: "auto" },
        kind: Kind::Choice(&Choice { words: &["off", "v1", "v2", "auto"], aliases: &[("false", "off"), ("0", "off"), ("none", "off"), ("true", "auto"), ("1", "auto")], switch: Some(["off", "auto"]), exact: false, refusal: "proxy_protocol must be: off, v1, v2, or auto", no_text: "proxy_protocol must be string or bool" }),
        default: Literal::Text("off"),
        description: "Read the PROXY protocol that a balancer puts before each connection. Not part of this version.",
        missing: Some(Missing { part: "the PROXY protocol", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "proxy_allow_ips",
        class: "ProxyAllowFrom",
        section: Section::ServerMechanics,
        flags: &["--proxy-allow-from"],
        takes: Takes::Text("LIST"),
        kind: Kind::Networks,
        default: Literal::Text("127.0.0.1,::1"),
        description: "Balancers that may use the PROXY protocol: addresses and networks separated by commas, or `*` for all.",
        ..PLAIN
    },
    Setting {
        name: "protocol",
        class: "Protocol",
        section: Section::ServerMechanics,
        flags: &["--protocol"],
        takes: Takes::Text("PROTOCOL"),
        default: Literal::Text("http"),
        description: "What clients speak. `uwsgi` is not part of this version; anything else means HTTP.",
        missing: Some(Missing { part: "the uwsgi protocol", when: When::Is("uwsgi"), unless: None }),
        ..PLAIN
    },
    Setting {
        name: "uwsgi_allow_ips",
        class: "UWSGIAllowFrom",
        section: Section::ServerMechanics,
        flags: &["--uwsgi-allow-from"],
        takes: Takes::Text("LIST"),
        kind: Kind::Networks,
        default: Literal::Text("127.0.0.1,::1"),
        description: "Clients that may speak the uwsgi protocol: addresses and networks separated by commas, or `*` for all.",
        ..PLAIN
    },
    Setting {
        name: "keyfile",
        class: "KeyFile",
        section: Section::Ssl,
        flags: &["--keyfile"],
        takes: Takes::Text("FILE"),
        description: "The private key for TLS. TLS is not part of this version.",
        missing: Some(Missing { part: "TLS", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "certfile",
        class: "CertFile",
        section: Section::Ssl,
        flags: &["--certfile"],
        takes: Takes::Text("FILE"),
        description: "The certificate for TLS. TLS is not part of this version.",
        missing: Some(Missing { part: "TLS", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "ssl_version",
        class: "SSLVersion",
        section: Section::Ssl,
        flags: &["--ssl-version"],
        takes: Takes::Text("VERSION"),
        kind: Kind::Anything,
        default: Literal::Int(2),
        description: "Has no effect, as in Gunicorn: the hook `ssl_context` decides.",
        ..PLAIN
    },
    Setting {
        name: "cert_reqs",
        class: "CertReqs",
        section: Section::Ssl,
        flags: &["--cert-reqs"],
        takes: Takes::Text("NUMBER"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "Whether TLS clients need a certificate: 0 no, 1 it is checked if there is one, 2 yes (Python's `ssl.CERT_*`).",
        ..PLAIN
    },
    Setting {
        name: "ca_certs",
        class: "CACerts",
        section: Section::Ssl,
        flags: &["--ca-certs"],
        takes: Takes::Text("FILE"),
        description: "The authorities whose client certificates are believed.",
        ..PLAIN
    },
    Setting {
        name: "suppress_ragged_eofs",
        class: "SuppressRaggedEOFs",
        section: Section::Ssl,
        flags: &["--suppress-ragged-eofs"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(true),
        description: "Take a TLS connection that ends without a closing message as simply ended.",
        ..PLAIN
    },
    Setting {
        name: "do_handshake_on_connect",
        class: "DoHandshakeOnConnect",
        section: Section::Ssl,
        flags: &["--do-handshake-on-connect"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Do the TLS handshake when a connection is accepted, not when it is first read.",
        ..PLAIN
    },
    Setting {
        name: "ciphers",
        class: "Ciphers",
        section: Section::Ssl,
        flags: &["--ciphers"],
        takes: Takes::Text("CIPHERS"),
        description: "The ciphers that TLS may use, as OpenSSL writes them.",
        ..PLAIN
    },
    Setting {
        name: "http_protocols",
        class: "HTTPProtocols",
        section: Section::Http2,
        flags: &["--http-protocols"],
        takes: Takes::Text("LIST"),
        kind: Kind::Protocols(&["h1", "h2"]),
        default: Literal::Text("h1"),
        description: "The versions of HTTP that are offered, separated by commas, the preferred one first. `h2` is not part of this version.",
        missing: Some(Missing { part: "HTTP/2", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "http2_cleartext",
        class: "HTTP2Cleartext",
        section: Section::Http2,
        flags: &["--http2-cleartext"],
        takes: Takes::Text("MODE"),
        kind: Kind::Choice(&Choice { words: &["off", "prior-knowledge", "upgrade", "both"], aliases: &[], switch: Some(["off", "prior-knowledge"]), exact: false, refusal: "Invalid http2_cleartext: {lower}", no_text: "Invalid type for casting: {value}" }),
        default: Literal::Text("off"),
        description: "Whether HTTP/2 is spoken without TLS. Not part of this version.",
        missing: Some(Missing { part: "HTTP/2", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "http2_max_concurrent_streams",
        class: "HTTP2MaxConcurrentStreams",
        section: Section::Http2,
        flags: &["--http2-max-concurrent-streams"],
        takes: Takes::Whole("INT"),
        kind: Kind::Bounded { least: 1, most: i64::MAX, refusal: "HTTP/2 max concurrent streams must be at least 1: {value}" },
        default: Literal::Int(100),
        description: "Requests that one HTTP/2 connection may have under way.",
        ..PLAIN
    },
    Setting {
        name: "http2_initial_window_size",
        class: "HTTP2InitialWindowSize",
        section: Section::Http2,
        flags: &["--http2-initial-window-size"],
        takes: Takes::Whole("INT"),
        kind: Kind::Bounded { least: 0, most: 2_147_483_647, refusal: "HTTP/2 window size must be at most 2147483647: {value}" },
        default: Literal::Int(65535),
        description: "Bytes that an HTTP/2 client may send on a stream before it is told to go on.",
        ..PLAIN
    },
    Setting {
        name: "http2_max_frame_size",
        class: "HTTP2MaxFrameSize",
        section: Section::Http2,
        flags: &["--http2-max-frame-size"],
        takes: Takes::Whole("INT"),
        kind: Kind::Bounded { least: 16384, most: 16_777_215, refusal: "http2_max_frame_size must be between 16384 and 16777215, got {value}" },
        default: Literal::Int(16384),
        description: "Bytes that one HTTP/2 frame may have.",
        ..PLAIN
    },
    Setting {
        name: "http2_max_header_list_size",
        class: "HTTP2MaxHeaderListSize",
        section: Section::Http2,
        flags: &["--http2-max-header-list-size"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(65536),
        description: "Bytes that the headers of one HTTP/2 request may have together; 0 means no limit.",
        ..PLAIN
    },
    Setting {
        name: "raw_paste_global_conf",
        class: "PasteGlobalConf",
        section: Section::ServerMechanics,
        flags: &["--paste-global"],
        takes: Takes::Several("NAME=VALUE"),
        kind: Kind::List,
        default: Literal::List(&[]),
        description: "Set a variable of the PasteDeploy file, as `NAME=VALUE`; `\\=` is an equals sign in the name or value.

May be given several times.",
        ..PLAIN
    },
    Setting {
        name: "permit_obsolete_folding",
        class: "PermitObsoleteFolding",
        section: Section::ServerMechanics,
        flags: &["--permit-obsolete-folding"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Accept header fields that go on over several lines.

RFC 9112 section 5.2 declares such folding obsolete; it is refused unless this is on.",
        ..PLAIN
    },
    Setting {
        name: "strip_header_spaces",
        class: "StripHeaderSpaces",
        section: Section::ServerMechanics,
        flags: &["--strip-header-spaces"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Accept whitespace between a header's name and its colon, and remove it.

RFC 9112 section 5.1 tells servers to refuse it, because proxies disagree about such headers.",
        ..PLAIN
    },
    Setting {
        name: "permit_unconventional_http_method",
        class: "PermitUnconventionalHTTPMethod",
        section: Section::ServerMechanics,
        flags: &["--permit-unconventional-http-method"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Accept methods with characters and lengths that no registered method has.",
        ..PLAIN
    },
    Setting {
        name: "permit_unconventional_http_version",
        class: "PermitUnconventionalHTTPVersion",
        section: Section::ServerMechanics,
        flags: &["--permit-unconventional-http-version"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Accept HTTP versions other than 1.0 and 1.1.",
        ..PLAIN
    },
    Setting {
        name: "casefold_http_method",
        class: "CasefoldHTTPMethod",
        section: Section::ServerMechanics,
        flags: &["--casefold-http-method"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Turn methods into upper case before the application sees them.",
        ..PLAIN
    },
    Setting {
        name: "forwarder_headers",
        class: "ForwarderHeaders",
        section: Section::ServerMechanics,
        flags: &["--forwarder-headers"],
        takes: Takes::Text("LIST"),
        kind: Kind::Csv,
        default: Literal::Text("SCRIPT_NAME,PATH_INFO"),
        description: "Headers with an underscore that a proxy in `forwarded_allow_ips` may send whatever `header_map` says.

Names in upper case, separated by commas; `*` is every name.",
        ..PLAIN
    },
    Setting {
        name: "header_map",
        class: "HeaderMap",
        section: Section::ServerMechanics,
        flags: &["--header-map"],
        takes: Takes::Text("WORD"),
        kind: Kind::Choice(&Choice { words: &["drop", "refuse", "dangerous"], aliases: &[], switch: None, exact: false, refusal: "Invalid header map behaviour: {value}", no_text: "Invalid type for casting: {value}" }),
        default: Literal::Text("drop"),
        description: "What to do with a header whose name has an underscore: `drop` it, `refuse` the request, or `dangerous`ly pass it on.

In the environ such a header looks like one with a hyphen, so a client could pose as a proxy.",
        ..PLAIN
    },
    Setting {
        name: "asgi_loop",
        class: "ASGILoop",
        section: Section::WorkerProcesses,
        flags: &["--asgi-loop"],
        takes: Takes::Text("LOOP"),
        kind: Kind::Choice(&Choice { words: &["auto", "asyncio", "uvloop"], aliases: &[], switch: None, exact: false, refusal: "Invalid ASGI loop: {lower}", no_text: "Invalid type for casting: {value}" }),
        default: Literal::Text("auto"),
        description: "The event loop of the worker class `asgi`, which is not part of this version.",
        ..PLAIN
    },
    Setting {
        name: "asgi_lifespan",
        class: "ASGILifespan",
        section: Section::WorkerProcesses,
        flags: &["--asgi-lifespan"],
        takes: Takes::Text("WORD"),
        kind: Kind::Choice(&Choice { words: &["auto", "on", "off"], aliases: &[], switch: None, exact: false, refusal: "Invalid ASGI lifespan: {lower}", no_text: "Invalid type for casting: {value}" }),
        default: Literal::Text("auto"),
        description: "Whether the worker class `asgi` tells the application that it starts and stops.",
        ..PLAIN
    },
    Setting {
        name: "asgi_disconnect_grace_period",
        class: "ASGIDisconnectGracePeriod",
        section: Section::WorkerProcesses,
        flags: &["--asgi-disconnect-grace-period"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(3),
        description: "Seconds that the worker class `asgi` gives an application whose client is gone.",
        ..PLAIN
    },
    Setting {
        name: "websocket_max_message_size",
        class: "WebSocketMaxMessageSize",
        section: Section::WorkerProcesses,
        flags: &["--websocket-max-message-size"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(16777216),
        description: "Bytes that a WebSocket message may have in the worker class `asgi`; 0 means no limit.",
        ..PLAIN
    },
    Setting {
        name: "http_parser",
        class: "HttpParser",
        section: Section::WorkerProcesses,
        flags: &["--http-parser"],
        takes: Takes::Text("WORD"),
        kind: Kind::Choice(&Choice { words: &["auto", "fast", "python"], aliases: &[], switch: None, exact: false, refusal: "http_parser must be one of: auto, fast, python", no_text: "http_parser must be a string" }),
        default: Literal::Text("auto"),
        description: "Accepted for the sake of existing configurations: there is one parser here, which is fast and follows the rules of Gunicorn's `python`.",
        ..PLAIN
    },
    Setting {
        name: "root_path",
        class: "RootPath",
        section: Section::ServerMechanics,
        flags: &["--root-path"],
        takes: Takes::Text("PATH"),
        default: Literal::Text(""),
        description: "The path at which the worker class `asgi` tells the application that it is mounted. WSGI applications get `SCRIPT_NAME` instead.",
        ..PLAIN
    },
    Setting {
        name: "dirty_apps",
        class: "DirtyApps",
        section: Section::DirtyArbiters,
        flags: &["--dirty-app"],
        takes: Takes::Several("CLASS"),
        kind: Kind::List,
        default: Literal::List(&[]),
        description: "Applications that the dirty arbiter runs in processes of its own. Not part of this version.",
        missing: Some(Missing { part: "the dirty arbiter", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "dirty_workers",
        class: "DirtyWorkers",
        section: Section::DirtyArbiters,
        flags: &["--dirty-workers"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        description: "The number of processes of the dirty arbiter. Not part of this version.",
        missing: Some(Missing { part: "the dirty arbiter", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "dirty_timeout",
        class: "DirtyTimeout",
        section: Section::DirtyArbiters,
        flags: &["--dirty-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(300),
        description: "Seconds that one of its tasks may take.",
        ..PLAIN
    },
    Setting {
        name: "dirty_threads",
        class: "DirtyThreads",
        section: Section::DirtyArbiters,
        flags: &["--dirty-threads"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1),
        description: "Threads of each of its processes.",
        ..PLAIN
    },
    Setting {
        name: "dirty_graceful_timeout",
        class: "DirtyGracefulTimeout",
        section: Section::DirtyArbiters,
        flags: &["--dirty-graceful-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        description: "Seconds that its processes may take to finish when they are told to leave.",
        ..PLAIN
    },
    Setting {
        name: "on_dirty_starting",
        class: "OnDirtyStarting",
        section: Section::DirtyArbiterHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with the dirty arbiter when it starts. Not part of this version.",
        missing: Some(Missing { part: "the dirty arbiter", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "dirty_post_fork",
        class: "DirtyPostFork",
        section: Section::DirtyArbiterHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the dirty arbiter and its worker, in the worker, after the fork. Not part of this version.",
        missing: Some(Missing { part: "the dirty arbiter", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "dirty_worker_init",
        class: "DirtyWorkerInit",
        section: Section::DirtyArbiterHooks,
        kind: Kind::Hook(&[1]),
        description: "Called with a worker of the dirty arbiter that has loaded its applications. Not part of this version.",
        missing: Some(Missing { part: "the dirty arbiter", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "dirty_worker_exit",
        class: "DirtyWorkerExit",
        section: Section::DirtyArbiterHooks,
        kind: Kind::Hook(&[2]),
        description: "Called with the dirty arbiter and its worker when that is about to exit. Not part of this version.",
        missing: Some(Missing { part: "the dirty arbiter", when: When::Changed, unless: None }),
        ..PLAIN
    },
    Setting {
        name: "control_socket",
        class: "ControlSocket",
        section: Section::Control,
        flags: &["--control-socket"],
        takes: Takes::Text("PATH"),
        source: Some(Source::RuntimeFile("gunicorn.ctl")),
        description: "Where the control socket would be. It is not part of this version: none is opened, and to ask for one is an error.",
        missing: Some(Missing { part: "the control socket", when: When::Given, unless: Some("control_socket_disable") }),
        ..PLAIN
    },
    Setting {
        name: "control_socket_mode",
        class: "ControlSocketMode",
        section: Section::Control,
        flags: &["--control-socket-mode"],
        takes: Takes::Mode("INT"),
        kind: Kind::Count,
        default: Literal::Int(384),
        description: "The file mode of the control socket.",
        ..PLAIN
    },
    Setting {
        name: "control_socket_disable",
        class: "ControlSocketDisable",
        section: Section::Control,
        flags: &["--no-control-socket"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        description: "Open no control socket. That is what happens anyway.",
        ..PLAIN
    },
];
