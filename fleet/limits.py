"""Every limit in Fleet, with unit and reason (law 7), grouped by its owner. Units go last in the name."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# HTTP
BODY_BYTES_MAX: Final = 20 * MIB  # attachments included
HEADER_BYTES_MAX: Final = 32 * KIB
HEADER_BYTES_READ_MAX: Final = 128 * KIB  # beyond, the server responds with a bare 431; up to here the 431 says why
PROMPT_TEXT_BYTES_MAX: Final = MIB  # longer texts belong in a file
TITLE_CHARS_MAX: Final = 200
IDEMPOTENCY_KEY_CHARS_MAX: Final = 200
KEEP_ALIVE_S: Final = 5.0  # from a connection's begin, or its last response, to the end of the next request's headers
BODY_READ_S: Final = 60.0  # 20 MB over 3 Mbit/s
REQUESTS_PER_CLIENT_MAX: Final = 512  # running at a time; some wait a minute for a session to be ready
GZIP_BYTES_MIN: Final = 8 * KIB  # smaller JSON fits into a few packets: compressing it gains nothing
GZIP_LEVEL: Final = 5  # 200 sessions: 190 KB become 19 KB in 3 ms; a higher level gains 2 % for twice the time
PAGE_BYTES_MAX: Final = 64 * MIB  # of the built page, held in memory with its compressed files; it has 4
STREAMS_PER_CLIENT_MAX: Final = 2048  # open at a time; a reader costs some 30 KiB
BUDGET_MAX: Final = 10**12  # dollars, tokens or minutes: a larger budget limits nothing
TAGS_MAX: Final = 50
PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
SESSIONS_PAGE_MAX: Final = 1000  # sessions in one response, about 1.5 MB: they are encoded already
PATH_CHARS_MAX: Final = 4096  # the kernel's own limit, in bytes
UNREAD_BODY_DRAIN_S: Final = 1.0  # a response waits so long for an unread request body; then the connection is closed
FIND_QUERY_CHARS_MAX: Final = 200  # of the name of a file, directory or branch that a client searches for
RESPONSE_SLICE_ITEMS: Final = 32  # of a long list, read and encoded in one step, about 2 ms; then other tasks run
ENCODED_SLICE_ITEMS: Final = 128  # likewise, if most are encoded already: about 0.3 ms, and 6 ms if none is
RESPONSE_SLICE_BYTES: Final = 256 * KIB  # likewise
QUERIES_CACHED: Final = 16  # decoded queries of each route: clients repeat the same ones
ACCEPT_FAILED_LOG_S: Final = 60.0  # between two log lines that there is no file descriptor left for connections
HTTP_GRACE_S: Final = 5.0  # running requests at a shutdown

# Access tokens
TOKENS_MAX: Final = 200  # revoked ones included: the log names all of them
TOKEN_NAME_CHARS_MAX: Final = 40
COOKIES_PER_TOKEN_MAX: Final = 10  # browsers that one token is logged in with; the oldest goes first
LINKS_PER_TOKEN_MAX: Final = 10  # unused ones; beyond, the oldest is deleted: each is a row of the file
LINK_LIFETIME_S: Final = 600.0  # time for a person to open it in the browser
OPEN_LINK_LIFETIME_S: Final = 60.0  # of `fleet open`: the browser has to start; other users may see its arguments
COOKIE_LIFETIME_S: Final = 30 * 86_400.0
TOKEN_POLL_S: Final = 1.0  # an open stream whose token was revoked ends after so long; new requests are refused at once
LOGIN_FAILURES_MAX: Final = 10  # in a row from one client address, then 429
LOGIN_FAILURE_REFILL_S: Final = 6.0  # after so long the client has one more attempt
LOOPBACK_ANSWERS_CACHED: Final = 1024  # addresses of which it is known whether they are on this machine
CLIENT_ADDRESSES_REMEMBERED_MAX: Final = 4096  # the address that was seen longest ago is forgotten
TOKEN_LOOK_S: Final = 5.0  # between looks at the token file, which other processes change: one system call each
RECORDS_EVERY_S: Final = 60.0  # one event for what a client repeats (refused requests, logins, proofs): no full log
RECORD_KINDS_MAX: Final = 50  # kinds counted apart in that time; others are counted without their actor
TOKEN_IDLE_S: Final = 3600.0  # the first request with a token after so long is a login: at most 24 events a day each

# Event log
COMPRESSED_BYTES_MAX: Final = 256 * KIB  # on the event loop, in 2 ms; an attachment of 20 MiB would take a second
COMPRESSED_BYTES_MIN: Final = 512  # shorter payloads would save a tenth of the log for a sixth of a replay's speed
EVENT_BYTES_MAX: Final = 32 * MIB  # one prompt with attachments (20 MiB as base64) and its envelope
BATCH_EVENTS_MAX: Final = 2048  # a commit of this size costs about 6 ms; more would only add latency
APPEND_QUEUE_MAX: Final = 16_384  # appends that wait for the writer, then `overloaded`
MAP_BYTES_INITIAL: Final = 256 * MIB  # LMDB's map is sparse: it costs address space, not disk
DISK_FREE_BYTES_MIN: Final = 64 * MIB  # below, appends are refused: the disk is never full in the middle of a commit
DISK_REUSABLE_BYTES_MIN: Final = 8 * MIB  # … unless erased events left so much free space in the log: it need not grow
START_BYTES_MIN: Final = 4 * MIB  # with less, and no reserve, a start is read-only: it writes 1 to 3 MiB
DISK_CHECK_S: Final = 3.0  # how long a new session is waited for before each look whether the disk is full
DISK_RESERVE_BYTES: Final = 8 * MIB  # kept free for a start and an erasure on a full disk: each takes 1 to 3 MiB
REWRITE_BATCH_BYTES: Final = 16 * MIB  # of entries in one transaction of a compaction: bounds its memory
BATCH_BYTES_MAX: Final = 64 * MIB  # of payloads in one commit: bounds its memory and how long other appends wait
APPEND_QUEUE_BYTES_MAX: Final = 256 * MIB  # of payloads that wait for the writer, then `overloaded`
STREAM_NAME_BYTES_MAX: Final = 256  # an LMDB key of 511 bytes holds name and position
STREAM_HEADS_MAX: Final = 65_536  # versions of streams kept in memory, about 10 MiB; others are read from the log
ERASE_PAGE_EVENTS: Final = 256  # erased in one commit, about 2 ms; longer streams take several, with others between
VERIFY_PAGE_EVENTS: Final = 128  # verified in one step, about 2 ms; then other tasks run
LOG_SEARCH_PAGE_EVENTS: Final = 512  # headers read in one step, about 1 ms; then other tasks run
LOG_SEARCH_EVENTS_MAX: Final = 16_384  # headers that one request reads, in 50 ms; its response says where to continue
LOG_SEARCH_PAGE_BYTES: Final = 8 * MIB  # of payloads in one response: it ends with the event that reaches this
LOG_CHAIN_EVENTS_MAX: Final = 200  # events in one response about causes
ERASURES_LISTED_MAX: Final = 1000  # erased streams in one proof of the log, 200 KB; all of them are verified
LOG_HEADS_EXPECTED_MAX: Final = 200  # in one request to verify the log: they have to fit into its headers
ANCHOR_INTERVAL_S: Final = 600.0  # between two heads in the anchor file: an attacker could rewrite less than that
LOG_TYPES_CHARS_MAX: Final = 4096  # of a list of event types; all types together are half of it
EXPORT_PAGE_EVENTS: Final = 128  # exported in one step, about 2 ms; then other tasks run
EXPORT_PAGE_BYTES: Final = MIB  # likewise; a reader that does not read holds so much in memory
REPLAY_PAGE_EVENTS: Final = 1024  # read in one step while replaying, about 3 ms
SNAPSHOTS_WAITING_MAX: Final = 256  # for the next commit; beyond, the oldest are dropped: a snapshot is disposable
SNAPSHOT_EVERY_EVENTS: Final = 256  # bounds the fold of one activation to about a millisecond

# Blobs
BLOB_BYTES_MAX: Final = 32 * MIB  # one content; the caller cuts a larger one
BLOB_PUT_BYTES_MAX: Final = 512 * MIB  # of contents in one put: they and LMDB's transaction are held in memory
BLOB_MAP_BYTES: Final = 256 * 1024 * MIB  # address space of the blob store, not disk

# Explanations and comparisons of the log
WHY_STEPS_MAX: Final = 64  # sentences that explain one event: more explain nothing
WHY_LISTED_MAX: Final = 10  # tool calls, requests or files that one explanation lists of a turn
BETWEEN_LISTED_MAX: Final = 20  # prompts or files of one session in a comparison of two positions
BETWEEN_SESSIONS_MAX: Final = 200  # in a comparison of two positions: those that changed last
WHY_TURN_EVENTS_MAX: Final = 100_000  # of one turn, read in pages, to explain an event: some seconds

# Trials of policies
PERMISSION_PATTERNS_CACHED: Final = 1024  # compiled patterns of permission rules; a configuration has some dozens
PERMISSION_RULES_MAX: Final = 1000  # permissions, and patterns of each, in rules to try
PERMISSION_PATTERN_CHARS_MAX: Final = 4096  # a path
POLICY_SESSIONS_MAX: Final = 1000  # that a trial of rules names; by default it takes all
POLICY_EXAMPLES_MAX: Final = 10  # tool calls that a trial shows of each session
POLICY_WORDS_CHARS_MAX: Final = 500  # of such a call's command

# Evidence packs
PACK_OUTPUT_CHARS_MAX: Final = 32 * KIB  # of one tool call's output in an evidence pack; a person reads no more
PACK_PATCH_LINES_MAX: Final = 4000  # of one file's diff on the page of an evidence pack; its patch has all lines
PACK_DIFF_LINES_MAX: Final = 50_000  # of all diffs on that page, about 5 MB
PACK_ZIP_SLICE_BYTES: Final = 64 * KIB  # of an evidence pack, compressed in one step, about 2 ms
EVIDENCE_PAGE_EVENTS: Final = 64  # folded in one step for a pack or a trial, about 3 ms; then other tasks run
PACK_ITEMS_SLICE: Final = 16  # items of an evidence pack, encoded in one step: a tool call may have 32 KiB of output
PACK_PAGE_SLICE: Final = 1000  # pieces of its page that are made in one step, some milliseconds
PACK_STEPS_MAX: Final = 5000  # on that page, about 10 MB that a browser still opens; the document has all

# Backups
BACKUP_CONTENTS_MAX: Final = 64  # asked for in one request of a backup: their names fit into its address
BACKUP_ROUNDS_MAX: Final = 4  # each copies what came during the one before, if that has the order of an erasure
BACKUP_ROWS_MAX: Final = 4096  # owners or files in one part of a backup: about 5 ms, then other tasks run
RESTORE_LISTED_MAX: Final = 20  # missing workspaces that `fleet restore` prints; `fleet workspaces` has all

# Drills of the doctor
DRILL_KILLS: Final = 4  # of a process that appends to a scratch copy: a second each
DRILL_PROCESS_S: Final = 10.0  # for that process to end
DRILL_APPENDS_MAX: Final = 4096  # until its file has to grow
DRILL_EVENT_BYTES: Final = 64 * KIB  # of each of these: 256 MiB at most
DRILL_COPIES_MAX: Final = 3  # attempts to copy the log of a server that writes to it

# Feed and live streams
FEED_BUFFER_EVENTS_MAX: Final = 1024  # per subscription, then it is saturated and catches up from the log
FEED_PAGE_EVENTS: Final = 256  # events read from the log in one step while catching up
FEED_BUFFER_BYTES_MAX: Final = 8 * MIB  # of payloads likewise; a single event may be larger
FEED_PAGE_BYTES: Final = MIB  # of payloads in such a page: it ends with the event that reaches this
SIGNAL_BUFFER_MAX: Final = 4096  # per reader; signals beyond are dropped, the finished part supersedes them
SIGNAL_BUFFER_BYTES_MAX: Final = 4 * MIB  # likewise; a signal of a tool has all of its output so far
TOOL_SIGNAL_S: Final = 0.25  # between two signals of one tool, each of which repeats all of its output
HEARTBEAT_S: Final = 15.0
FRAMES_CACHED: Final = 4096  # encoded events that live readers share
FRAMES_CACHED_BYTES: Final = 64 * MIB  # likewise
FILES_MAX: Final = 16_384  # open at a time: streams, requests, the log, pipes of processes; shells often allow 1,024
STREAMS_OPEN_MAX: Final = 4096  # event streams and WebSockets; each takes about 100 KiB and a file descriptor
STREAM_WRITE_S: Final = 0.0001  # between rounds, for each of many waiting streams: about three times a write
STREAM_WRITERS_MAX: Final = 16  # streams that begin to write in one pass of the event loop, about 2 ms
SOCKET_SUBSCRIPTIONS_MAX: Final = 100  # of one WebSocket; one subscription may name many sessions
SOCKET_SESSIONS_MAX: Final = 1000  # that one subscription names; `*` follows all
SOCKET_COMMANDS_MAX: Final = 64  # running commands of one WebSocket; further ones are refused with Retry-After
SOCKET_COMMANDS_BYTES_MAX: Final = 2 * BODY_BYTES_MAX  # of their frames together
SOCKET_FRAME_BYTES_MAX: Final = BODY_BYTES_MAX + 64 * KIB  # from a client: a command with the largest body
SOCKET_ID_CHARS_MAX: Final = 64  # the client's names for its subscriptions and commands
SOCKET_PATH_CHARS_MAX: Final = 4096  # of a command
SOCKET_RESPONSES_MAX: Final = 256  # that wait for a client to read them; until it does, no more of its frames are read
SOCKET_WRITE_BYTES: Final = 256 * KIB  # frames are joined into writes of this size
SOCKET_CLOSE_GRACE_S: Final = 1.0  # for a client to read why its WebSocket was closed, before the connection is closed
STREAM_WRITE_TIMEOUT_S: Final = 30.0  # a reader that takes no byte for so long is disconnected, and can resume

# Actors
SUBAGENTS_REMEMBERED_MAX: Final = 10_000  # which session a sub-agent works for; the oldest are forgotten
MAILBOX_MESSAGES_MAX: Final = 1024
MAILBOX_CONTROL_MAX: Final = 64  # control messages are rare; if more of them wait, it is a bug
MAILBOX_BURST_MAX: Final = 64  # messages that an actor handles in one step before other tasks run
ACTORS_ACTIVE_MAX: Final = 16_384  # per directory; an active aggregate costs about 10 KiB
ASK_TIMEOUT_S: Final = 30.0
PASSIVATE_AFTER_S: Final = 300.0  # an idle aggregate is unloaded from memory
RESTART_INTENSITY: Final = 5  # restarts within RESTART_WINDOW_S before a supervisor gives up
RESTART_WINDOW_S: Final = 60.0
GIVEN_UP_RETRY_S: Final = 60.0  # an actor that was given up is tried again: its effects may be due, without a message
RESTART_BACKOFF_FIRST_S: Final = 0.1  # most crashes do not repeat at the second attempt
RESTART_BACKOFF_MAX_S: Final = 10.0  # long enough for a disk or a process to recover, short for a person who waits
CHILD_STOP_GRACE_S: Final = 10.0  # a child is asked to stop, and cancelled after so long
CHILDREN_MAX: Final = 16_384  # per supervisor; one per active aggregate

# Recovery and upkeep
RECOVERY_BATCH: Final = 20  # unfinished aggregates that a start resumes at once
RECOVERY_PAUSE_S: Final = 0.02  # between batches
WORKSPACE_LOOK_S: Final = 1.0  # a prompt is checked as it arrives, and on another host not again right after that
LOOKS_REMEMBERED_MAX: Final = 4_096  # workspaces of which the server knows when they were checked last
WORKSPACE_SWEEP_S: Final = 30.0  # between checks that the workspaces exist: two system calls for each
DAMAGED_LISTED_MAX: Final = 20  # damaged streams in the answer of `readyz`
DAY_S: Final = 86_400
RETENTION_SWEEP_S: Final = 600.0  # a rule counts in days
RETENTION_SESSIONS_MAX: Final = 20  # erased in one sweep: each may remove a workspace and start a command of OpenCode
IDLE_SWEEP_S: Final = 30.0  # between searches for instances that no session needs

# Hosts and their engine
ENGINE_FRAME_BYTES_MAX: Final = 64 * MIB  # files travel in pieces of 8 MiB, a message's JSON may have some 30 MiB
ENGINE_THREADS_MAX: Final = 8  # orders that may wait for the cluster at a time; calls need no thread
ENGINE_CALLS_MAX: Final = 10_000  # that wait for answers, then `overloaded`
ENGINE_CONNECT_S: Final = 60.0  # a sidecar that is not connected after so long is started again; it takes 1 s
ENGINE_FIRST_CONNECT_S: Final = 10.0  # a start of Fleet waits so long for the engine, and continues without it
ENGINE_AUTHENTICATION_S: Final = 10.0  # for a request that shows whether the cluster asks for a token; it takes 5 ms
AGENT_CALLS_MAX: Final = 1000  # of one agent at a time: each waiting process, script and stream is one
ENGINE_DEAF_S: Final = 20.0  # a machine has been back for so long without an answer; Ray starts an agent in 3 s
HOST_BEAT_S: Final = 2.0  # between two heartbeats of a host, and between two looks at the cluster
HOST_SILENT_S: Final = 8.0  # without an answer to a heartbeat a host is silent; a busy machine answers within 1 s
HOST_WAIT_S: Final = 25.0  # of one call that waits on a host; it is repeated
HOST_WAIT_AGAIN_S: Final = 1.0  # before a wait is repeated on a host that does not answer
HOST_UNUSED_S: Final = 300.0  # without a session on a host its agent ends, so that the cluster can remove the machine
HOST_ROOM_S: Final = 2.0  # for a reservation of room that was counted as free; it takes 5 ms
HOST_PIECE_BYTES: Final = MIB  # of a stream in one call: 92 MiB/s were measured, 26 MiB/s with 64 KiB
HOST_PROCESSES_MAX: Final = 1000  # of one host that its heartbeats report; the one asked for longest ago is left out
HOST_EVENTS_MAX: Final = 10_000  # that wait for one reader; beyond, the reader is cut off
SURVEY_S: Final = 60.0  # of all machines of a cluster, by the doctor; it takes 3 s
SURVEY_PROBE_S: Final = 30.0  # for the answers of all probes: a busy machine starts a process of Ray in 5 s
SURVEY_CONNECT_S: Final = 3.0  # to a port of a machine in the same network
RELEASE_S: Final = 180.0  # of all that a server holds on a cluster: an OpenCode process takes up to 11 s to end
RELEASE_STEP_S: Final = 60.0  # for the end of its agents, of its processes, or of its reservations
CLOCK_SKEW_MS_MAX: Final = 2_000  # between two machines; beyond, the times of events mislead a reader
ENGINE_STOP_S: Final = 3.0  # a sidecar ends when its pipe is closed, or is killed after so long
HOST_GRACE_S: Final = 120.0  # a host that is silent for longer is lost; restarts of its agent or network take less
HOST_GRACE_MARGIN_S: Final = 20.0  # the lease of a host ends so long before its loss: its guards take up to 15 s
HOST_REPORT_S: Final = 30.0  # after a start of the server; the engine has found all agents that answer by then
HOST_LOOK_S: Final = 10.0  # between two looks at the memory and disk of the server's machine; each takes 0.1 ms
HOST_RETRY_S: Final = 5.0  # between two attempts to record a change of a host on a full disk
HOST_TRY_S: Final = 1.0  # between two attempts to make a workspace on hosts that do not answer
HOST_TRIES_S: Final = 600.0  # of these attempts together: a loss with the default grace takes 120 s
ROOM_SWEEP_S: Final = 5.0  # room on a host that no session needs is released after so long
SAVE_LAST_S: Final = 20.0  # the end of a session that works waits so long for its work to come from another host
SAVE_REFUSED_S: Final = 10.0  # git may refuse for so long to save work, then the turn ends without it, and says so
RECORDED_MESSAGES_READ: Final = 200  # in one step, to restore a conversation on another host; then other tasks run
HOST_SWEEP_S: Final = 5.0  # between two looks at hosts that are away: a process may have been heard meanwhile
HOST_CPUS: Final = 1.0  # reserved for a session that names none: agents mostly wait for their model
HOST_CPUS_MAX: Final = 1024.0  # that a session may ask for; larger machines are not known to us
HOST_MEMORY_MB: Final = 1024  # MiB, likewise: OpenCode takes 350 to 600, and its tools the rest
HOST_MEMORY_MB_MAX: Final = 16 * 1024 * 1024  # MiB, likewise: 16 TiB
HOST_NAME_CHARS_MAX: Final = 253  # of a host or a label in a request; a DNS name has no more
HOST_LABELS_MAX: Final = 20  # in a request for a host; people use one or two
HOSTS_KNOWN_MAX: Final = 1000  # machines that the log remembers; then the one lost longest ago is forgotten

# OpenCode processes
SPAWN_READY_TIMEOUT_S: Final = 60.0  # a cold start with a database migration takes up to 10 s on a slow disk
SESSION_READY_TIMEOUT_S: Final = 90.0
TERM_GRACE_S: Final = 3.0  # OpenCode sometimes ignores the first SIGTERM: TERM, wait, TERM, wait, KILL
KILL_GRACE_S: Final = 5.0
REMNANT_GRACE_S: Final = 2.0  # processes that a tool left running have so long to end after TERM
ABORT_GRACE_S: Final = 8.0  # OpenCode kills a hanging shell 3 s after the abort
DIRECTORY_RELEASE_S: Final = 4.0  # OpenCode kills a hanging MCP server 2 to 3 s after it releases a directory
OPENCODE_MODELS_TIMEOUT_S: Final = 20.0  # it runs once at the start, in 1.7 s
CONNECT_TIMEOUT_S: Final = 10.0  # a session waits so long for the connection to its ready instance
OPENCODE_REQUEST_TIMEOUT_S: Final = 15.0  # the slowest measured call takes 0.8 s; a start delays others by 0.4 s
OFFERS_DELAY_S: Final = 3.0  # from ready to the first request for its offers: the first session has priority
OFFERS_ASK_S: Final = 5.0  # for agents, commands and models together
OFFERS_FRESH_S: Final = 30.0  # offers of a repository are read again after so long
OFFERS_KEPT: Final = 64  # repositories whose offers stay in memory; some hundred models each
OPENCODE_REFUSED_S: Final = 60.0  # a request refused for so long fails; a locked database takes 5 s
REPLAYED_MAX: Final = 400  # events that add messages to a session: each takes 2.5 ms, where an import takes 1.4 s
REPLAYED_AT_ONCE: Final = 50  # of them in one request, so that OpenCode's other sessions do not wait longer than 0.2 s
OPENCODE_CLI_TIMEOUT_S: Final = 60.0  # import of a fork's messages; 1.4 s for a short conversation
COMMAND_ACCEPT_S: Final = 2.0  # an unknown command is refused at once; another responds at the end of its turn
OPENCODE_RESPONSE_BYTES_MAX: Final = 256 * MIB
OPENCODE_TOKENS_MAX: Final = 10**12  # of one message: sums stay within what a log and a program can hold
OPENCODE_COST_USD_MAX: Final = 1e9  # likewise
OPENCODE_TIME_MS_MAX: Final = 253_402_300_799_000  # the last second of the year 9999
HTTP_READ_BYTES: Final = 256 * KIB  # one read of a socket; tokens that wait there are joined
CREATED_AHEAD_KEPT: Final = 500  # sessions of a process created ahead and not opened yet; one beyond is created again
OPENCODE_CONNECTIONS_KEPT_MAX: Final = 8  # per process, while there is no request
ALLOWANCES_KEPT: Final = 200  # permanent permissions of a process that its state shows; the log has all
EVENT_SILENCE_S: Final = 25.0  # heartbeats come every 10 s
OPENCODE_LOG_TAIL_BYTES: Final = 4 * KIB  # of the process's log, in the error of a failed start
EVENT_LINE_BYTES_MAX: Final = 64 * MIB  # one SSE line of OpenCode: a part holds a tool's whole output
EVENT_RECONNECT_S_MIN: Final = 0.1  # doubles up to the maximum while an event stream cannot be opened
EVENT_RECONNECT_S_MAX: Final = 2.0
EVENT_TYPES_COUNTED_MAX: Final = 200  # unknown event types counted by name
PORT_ATTEMPTS_MAX: Final = 5  # another process may take the port between its choice and OpenCode's start
PORT_SETTLE_S: Final = 6.0  # a taken port makes OpenCode exit after 1 s; announcing takes 1.1-2.5 s
FIRST_START_S: Final = 20.0  # other starts wait so long for the one that creates or migrates the database
PROCESS_POLL_S: Final = 0.05  # between two checks of a log or process that sends no notification
ENVIRONMENT_SCAN_S: Final = 0.1  # between two sweeps: a scan of all processes costs 50 us for each
LEASE_POLL_S: Final = 1.0  # the guard of a process on another host reads its lease so often; 20 us each
REMNANTS_POLL_S: Final = 5.0  # between two scans of a guard or an agent for what tools have left running
LEASE_MARGIN_S: Final = 8.0  # from the end of a lease to the second guard: LEASE_POLL_S, TERM_GRACE_S and the kills
OPENCODE_LOG_HEAD_BYTES: Final = 64 * KIB  # the process's log begins with the announcement of its port
OPENCODE_LOG_BYTES_MAX: Final = 16 * MIB  # OpenCode writes some KiB; a repository's plugin may write any amount
OPENCODE_LOG_CHECK_S: Final = 10.0
OPENCODE_LOGS_KEPT: Final = 100  # of ended processes
OPENCODE_VERSION_TIMEOUT_S: Final = 30.0  # `opencode --version` takes 0.6 s, several s from a cold disk

# Turns
DELIVERY_CONFIRM_TIMEOUT_S: Final = 20.0  # the message is visible within 0.7 s of the 204; later while OpenCode starts
DELIVERY_ATTEMPTS_MAX: Final = 5
# Waits before each check for the message; the last repeats. An earlier check would delay OpenCode's own work on it.
DELIVERY_POLL_S: Final = (0.1, 0.1, 0.2, 0.5)
DELIVERY_RETRY_S_MAX: Final = 16.0  # between attempts while OpenCode does not respond: the wait doubles up to this
REPLY_RETRY_S: Final = 2.0  # between attempts to send a person's answer to OpenCode
DELIVERY_ERROR_GRACE_S: Final = 1.5  # after an error without a message, which an unknown agent causes
DELIVERY_LATE_GRACE_S: Final = 2.0  # a prompt of a stopped session may still be on its way 0.7 s after the 204
DETACH_RETRY_S: Final = 2.0  # between attempts to abort a session's turn in a process that did not respond
TURN_POLL_S: Final = 5.0  # between two requests for the status while a turn runs: idle events get lost
TURN_SETTLE_S: Final = 0.1  # OpenCode's last parts come up to 100 ms after its first idle event
TURN_RECHECK_S: Final = 0.2  # between checks while OpenCode is idle and its messages are not complete yet
TURN_INCOMPLETE_GRACE_S: Final = 2.0  # the final message of a failed turn comes after the first idle event
TURN_START_GRACE_S: Final = 15.0  # from the delivery to the first sign of work: a cold directory takes up to 4 s
TURN_SILENCE_S: Final = 900.0  # a turn fails when OpenCode is busy for so long without an event
TURN_RETRY_S: Final = 600.0  # OpenCode before 1.18.16 may retry a model without a limit
DELAY_RETRY_S: Final = 10.0  # retries of the model for so long, or a next retry this late, count as a delay
DELAY_MCP_S: Final = 10.0  # after so long without output, OpenCode may be waiting for MCP servers, 30 s for each
DELAY_STEPS_MIN: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 960)  # a delay is reported again at these ages
DELAY_LONG_MIN: Final = 5  # a person is notified when a turn has waited so long for a model or an MCP server
DELAY_TOOL_LONG_MIN: Final = 15  # likewise for a tool: test suites and builds take minutes
MCP_ANSWER_S: Final = 2.0  # `/mcp` responds at once unless a server is still starting
TURN_UNKNOWN_STEPS_MAX: Final = 5  # `finish: unknown` makes OpenCode call the model again at once, without limit
TRANSCRIPT_KNOWN_MAX: Final = 200  # messages, and parts, of earlier turns: a late change of one is not a new message
REQUESTS_REMEMBERED_MAX: Final = 200  # ids of closed requests, which OpenCode may list again; and as many answers

# Prompts, callbacks and notifications
ATTACHMENTS_MAX: Final = 50  # files per prompt
CALLBACKS_REMEMBERED_MAX: Final = 20  # finished ones of a child that are still shown
CALLBACK_DEPTH_MAX: Final = 8  # ancestors of a session: a longer chain of callbacks is most likely an endless loop
CALLBACK_FILES_MAX: Final = 20  # listed for the parent; further ones are counted
CALLBACK_MESSAGE_BYTES_MAX: Final = 4 * KIB  # of the child's last message: the parent reads it as a part of a prompt
CALLBACK_MESSAGES_READ: Final = 20  # from the last one back: messages with tools only have no text
CALLBACK_RETRY_S: Final = 60.0  # a callback that its parent refuses is retried after so long, or when it changes
NOTIFICATIONS_MAX: Final = 50  # per session; beyond, the oldest are deleted
QUEUE_PROMPTS_MAX: Final = 100  # waiting prompts per session
QUEUE_BYTES_MAX: Final = 40 * MIB  # of waiting prompts, in memory and in snapshots; below it, one more is accepted

# Ends of sessions and of the server
ABORT_WAIT_S: Final = 20.0  # an abort request waits so long for the turn to end, then responds `aborting`
STOP_WAIT_S: Final = 30.0
SHUTDOWN_GRACE_S: Final = 30.0  # aborts (8 s) and the stop steps (2 x 3 s, 5 s) of all instances, in parallel
SHUTDOWN_REST_S: Final = 15.0  # the stop steps and a sweep again, for processes that have not ended by then
CALLBACKS_ERASED_AT_ONCE: Final = 100  # events of a session whose texts one event replaces: some 50 KB
OUTSIDE_COPY_S: Final = 75.0  # to delete OpenCode's copy of a session: the end of its processes, then a command of it
ERASURE_RETRY_S: Final = 5.0  # while the disk is full
REMOVAL_WAIT_S: Final = 120.0  # a request waits so long for a removal or a restore, then responds that it continues

# The fleet view and the inbox view
ACTIVITY_PARTS_MAX: Final = 64  # parts in flight of one session that are remembered; the oldest are forgotten
FLEET_ITEM_INTERVAL_S: Final = 0.25  # between two frames of one session, or of the inbox: a person does not read faster
FLEET_PAGE_ITEMS: Final = 100  # in one frame while a view begins, about 4 ms and 150 KiB
FLEET_WAITING_MAX: Final = 4096  # sessions that wait for a slow reader; beyond, its subscription ends
FLEET_ENDED_S: Final = 86_400.0  # sessions that ended longer ago are only in the history
FLEET_ERASED_MAX: Final = 1000  # erased sessions remembered for reconnections; readers further behind get all again
MODEL_LIMITS_MAX: Final = 4096  # models whose context limit is remembered; a provider has some hundred
MODEL_LIMITS_RETRY_S: Final = 30.0  # after a process did not list its models
SESSION_DETAILS_CACHED: Final = 256  # encoded sessions with their relatives, a few KiB each; likewise
SECONDS_CACHED: Final = 4096  # times as text, 100 bytes each: items often show the same seconds
FLEET_ITEMS_CACHED: Final = 4096  # encoded sessions, about 6 MiB; beyond, the one encoded longest ago is dropped

# Diffs
DIFF_COUNT_LINES_MAX: Final = 20_000  # of a file that several turns changed; beyond, their line counts are added up
DIFF_LIVE_BYTES_MAX: Final = 64 * MIB  # contents of diffs of running turns in memory: room for two of the largest
DIFF_LIVE_ENTRY_BYTES: Final = 512  # the memory that each of them takes beside its content
DIFF_COUNT_EDITS_MAX: Final = 1_000  # likewise, of lines that both sides have: the work grows with its square, 0.3 s

# Policy of the operator, by default
INSTANCES_MAX: Final = 32  # OpenCode processes; each takes 300 to 900 MiB
MEMORY_FREE_BYTES_MIN: Final = 512 * MIB  # that must be free when another process is started
IDLE_TIMEOUT_S: Final = 1800.0  # an instance whose sessions have all been idle for so long is shut down
INSTANCE_QUEUE_MAX: Final = 100  # sessions that wait for room for another process, then `overloaded`
INSTANCE_QUEUE_S: Final = 60.0  # how long they wait; below SESSION_READY_TIMEOUT_S, so that the error gives this reason
INSTANCE_QUEUE_POLL_S: Final = 1.0
INSTANCE_QUEUE_RETRY_S: Final = 30  # a client retries after so long: turns take minutes
UNREACHABLE_GRACE_S: Final = 30.0  # a process that does not respond for so long and was stopped by a signal hangs
UNREACHABLE_POLL_S: Final = 5.0
HEALTH_TIMEOUT_S: Final = 5.0  # the slowest measured response takes 0.4 s

# Workspaces
CHECK_COUNTS_S: Final = 2.0  # that a new workspace is made by what its check has read; the log is written in between
CHECKS_REMEMBERED_MAX: Final = 64  # of workspaces that are not made yet; without one the repository is read again
WORKSPACE_DISCARDS_MAX: Final = 5  # attempts to remove what a failed workspace left, in 3 s; then callers get an error
WORKSPACE_BUSY_S: Final = 20.0  # a removal waits so long for processes to end: the stop steps take 11 s
WORKSPACE_BUSY_POLL_S: Final = 0.5
BUSY_COMMAND_CHARS_MAX: Final = 80  # of the command line of a process that keeps a workspace from being removed
BUSY_PROCESSES_LISTED_MAX: Final = 10  # of those, in the sentence of a refusal; the problem document has their pids
WORKSPACE_CHECK_S: Final = 5.0  # git status takes 1 s for 100,000 files; a page should not wait longer
SESSIONS_LISTED_MAX: Final = 10  # in the sentence of a refusal

# Set-ups of workspaces
PORTS_FIRST: Final = 20_000  # first port for workspaces: below the kernel's own, above those of common servers
PORTS_END: Final = 30_000  # first port behind those for workspaces
PORTS_EACH: Final = 10  # of one workspace, for a server, its database and the like; there are enough for a thousand
INCLUDE_FILES_MAX: Final = 50_000  # that `.worktreeinclude` copies into a workspace: a large node_modules, about 10 s
INCLUDE_BYTES_MAX: Final = 2 * 1024 * MIB  # likewise; beyond, a set-up makes the files as fast as copying them
INCLUDE_PATTERNS_BYTES_MAX: Final = 64 * KIB  # of `.worktreeinclude`, which holds a few lines
INCLUDE_UNCOPIED_LISTED_MAX: Final = 5  # files that were not copied, in the sentence that lists them
SETUP_FILE_BYTES_MAX: Final = 16 * KIB  # of `.fleet.toml`, which a person reads before allowing it
SETUP_S: Final = 1800.0  # of a set-up: a cold build of a large project; then it is killed
TEARDOWN_S: Final = 60.0  # of a teardown, for which a removal waits
SCRIPT_OUTPUT_S: Final = 0.5  # between two pieces of a script's output: each is an event
SCRIPT_OUTPUT_BYTES_MAX: Final = 512 * KIB  # of a script's output from its beginning; of the rest only the end is kept
SCRIPT_TAIL_BYTES: Final = 32 * KIB  # the size of that end, which says what failed
SETUP_DETAIL_CHARS: Final = 500  # of a failed set-up's last lines, in the error
SETUPS_KEPT: Final = 64  # sessions whose output of the set-up stays in memory, half a MiB each at most
TRUSTED_MAX: Final = 1000  # allowed contents of `.fleet.toml`; each workspace is compared with all of them

# Directories and files
FILE_READ_BYTES_MAX: Final = MIB  # of a file of the workspace that is shown; a person reads no more on a page
WORKSPACE_ROOTS_MAX: Final = 100  # that clients may choose; each path is compared with all of them
DIRECTORY_ENTRIES_MAX: Final = 5_000  # of a listed directory; the rest is counted
DIRECTORY_SEARCH_S: Final = 1.0  # a search for directories returns after so long what it has found
DIRECTORY_SEARCHES_MAX: Final = 2  # at a time: 45 of them blocked the event loop for 2.8 s
DIRECTORY_SEARCH_VISITED_MAX: Final = 20_000  # directories that a search reads; a home directory has fewer
DIRECTORY_SEARCH_FOUND_MAX: Final = 500  # directories in its response; a longer query finds the others

# Webhooks
WEBHOOKS_MAX: Final = 50  # each follows the log and may have WEBHOOK_SENDS_MAX connections open
WEBHOOK_URL_CHARS_MAX: Final = 2048
WEBHOOK_DESCRIPTION_CHARS_MAX: Final = 200
WEBHOOK_TEXT_CHARS_MAX: Final = 2000  # of the text in a message; the session has the rest
WEBHOOK_OPEN_MAX: Final = 100  # messages of one webhook in delivery or waiting; later ones stay in the log
WEBHOOK_SENDS_MAX: Final = 4  # messages that are sent to one receiver at a time
WEBHOOK_DELIVERIES_REMEMBERED_MAX: Final = 100  # finished ones of one webhook that are still shown
WEBHOOK_TIMEOUT_S: Final = 15.0  # from the name look-up to the response; Standard Webhooks asks for 15 to 30
WEBHOOK_CONNECT_TIMEOUT_S: Final = 5.0  # for each address of the name
WEBHOOK_ADDRESSES_MAX: Final = 4  # of a name that are tried
WEBHOOK_RESPONSE_BYTES_MAX: Final = 64 * KIB  # a response is read up to here: receivers may report an early disconnect
WEBHOOK_BACKOFF_FIRST_S: Final = 5.0
WEBHOOK_BACKOFF_MAX_S: Final = 4 * 3600.0  # thirteen attempts on the first day, then six a day
WEBHOOK_RETRY_WINDOW_S: Final = 3 * 86_400.0  # a weekend; then the message is dropped or the webhook disabled
WEBHOOK_CURSOR_EVENTS: Final = 10_000  # events without a message for it before the cursor is logged: 30 ms of a start
WEBHOOK_CURSOR_S: Final = 60.0  # between two checks of how far it has read
WEBHOOK_TEST_WAIT_S: Final = 20.0  # a request waits so long for its test message

# Metrics
COMMAND_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)  # a commit takes 0.3 to 6 ms
REQUEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)  # a create waits for OpenCode
COMMIT_BUCKETS_EVENTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)  # up to BATCH_EVENTS_MAX

# Traces
TRACE_QUEUE_SPANS: Final = 8192  # wait to be sent, 27 MB in all; beyond, the oldest are dropped
TRACE_BATCH_SPANS: Final = 512  # in one request to the collector, a few hundred KB
TRACE_INTERVAL_S: Final = 2.0  # between two requests, unless a batch is full
TRACE_EXPORT_S: Final = 5.0  # for one batch, retries included; then it is dropped
TRACE_LINKS_MAX: Final = 128  # of a commit to its commands: as many as the SDK keeps
TRACE_END_S: Final = 3.0  # an orderly shutdown waits so long for the last spans

# Git
GIT_TIMEOUT_S: Final = 600.0  # clones of large repositories
GIT_VERSION_TIMEOUT_S: Final = 10.0  # `git --version` takes milliseconds: a git that takes longer is broken
GIT_OUTPUT_BYTES_MAX: Final = 64 * MIB
GIT_ERROR_BYTES_MAX: Final = 4 * KIB  # of the end of git's stderr, which the error shows
GIT_TERM_GRACE_S: Final = 2.0  # git removes its lock files on SIGTERM; then SIGKILL for its whole group
BRANCH_BYTES_MAX: Final = 240  # a file name holds 255, and git appends `.lock`
BRANCHES_READ_MAX: Final = 5_000  # the newest of a repository, which a search by name reads in 0.1 s
SLUG_CHARS_MAX: Final = 40
DIRECTORY_NAME_CHARS_MAX: Final = 100
DIRTY_PATHS_SHOWN_MAX: Final = 5  # in the error that refuses to remove a person's work
MIRROR_UNUSED_S: Final = 7 * 24 * 3600.0  # then a mirror that no workspace needs goes; making it again costs a transfer
MIRROR_SWEEP_S: Final = 3600.0  # between two looks for such mirrors: each takes some milliseconds for a mirror
MIRROR_LOCK_S: Final = 120.0  # an older lock of git in a mirror is of a git that was killed: git holds one for ms
PARCEL_PIECE_BYTES: Final = 8 * MIB  # of a parcel in one call to another host: 207 MiB/s, where 1 MiB gets 92
PARCEL_KEPT_S: Final = 86_400.0  # a transfer that stopped can continue for so long
PARCEL_POLL_S: Final = 0.005  # between two looks at a pack that git writes or reads; it reads 1 MiB in 8 ms
PARCEL_STALL_S: Final = 30.0  # without a new byte the sender is gone or slow; the mirror is locked meanwhile
PARCEL_TRIES_MAX: Final = 3  # a damaged one, and one that does not complete what the receiver has, are sent again
TREE_FILE_BYTES_MAX: Final = 100 * MIB  # a snapshot leaves out larger files: a person does not read their diffs
TREE_NEW_FILES_MAX: Final = 200_000  # files that one snapshot reads, in about 10 s
TREE_NEW_BYTES_MAX: Final = 4 * 1024 * MIB  # likewise
TREE_ATTEMPTS_MAX: Final = 3  # files may change while they are read; the last attempt begins from an empty index
TREE_TIMES_REMEMBERED_MAX: Final = 4_096  # workspaces of which the server knows how long the last tree took
STEP_TREE_S_MAX: Final = 1.0  # that a tree may take while a turn runs; beyond, none is taken until the turn's end
STEP_TREES_SHARE_OF_TURN: Final = 0.05  # of a turn's time: a tree of 60 ms is taken once in 1.2 s at most
STEP_TREES_SHARE: Final = 0.25  # of the server's time, for all turns, one after the other: a quarter of one core
DIFF_FILE_BYTES_MAX: Final = MIB  # of a file on each side; the lines of the rest are still counted
DIFF_BYTES_MAX: Final = 32 * MIB  # of all contents of one diff; has to fit in GIT_OUTPUT_BYTES_MAX
DIFF_FILES_MAX: Final = 5_000  # files of one diff; the server's own log has the number of further ones
DIFF_RENAMES_MAX: Final = 400  # added or deleted files among which renames are searched: the work grows with its square
IGNORED_LISTED_MAX: Final = 100  # ignored files that a removal lists; a directory of them counts as one
NOT_CARRIED_LISTED_MAX: Final = 10  # files, hooks or settings in one sentence about what was not copied
PRESERVED_COMMITS_MAX: Final = 2_000  # parents of a preserved commit: git's argument list is limited

# Rehearsal model
REHEARSAL_SCRIPT_STEPS_MAX: Final = 1000
REHEARSAL_STALL_S_MAX: Final = 3600.0
REHEARSAL_STEP_TOKENS_MAX: Final = 200_000  # one response; a piece costs about 200 bytes on the wire
REHEARSAL_TOKENS_PER_S_MAX: Final = 100_000  # above, a script should leave the rate out
REHEARSAL_BODY_BYTES_MAX: Final = 64 * MIB  # each call contains the whole conversation with its tool outputs
REHEARSAL_WRITE_BYTES_MAX: Final = 64 * KIB  # unpaced pieces are joined into writes of this size
REHEARSAL_COUNTED_CALLS_MAX: Final = 1024  # calls whose `error … times n` is counted; the oldest is forgotten

# The command line
PROCESS_REPORT_TIMEOUT_S: Final = 20.0  # of one request for `fleet ps`; a server that starts or is busy responds late

# The demo
DEMO_TIMEOUT_S: Final = 120.0  # it takes about 10 s, and up to ten times as long on a slow machine
DEMO_REFRESH_S: Final = 0.1  # between two refreshes of the terminal

# Views
VIEW_MAP_BYTES: Final = 64 * 1024 * MIB  # address space of the disposable views, not disk
VIEW_SAVE_INTERVAL_S: Final = 2.0  # between two writes of rows; after a crash, missing rows are replayed
TRANSCRIPT_TAIL_MESSAGES: Final = 50  # read first when a turn ends; four times as many while the prompt is not in it
HISTORY_TEXT_BYTES_MAX: Final = 32 * KIB  # of one prompt, answer or tool's output that are searched
HISTORY_INPUT_BYTES_MAX: Final = 4 * KIB  # of a tool's input, which begins with the important part
HISTORY_SEARCH_CHARS_MAX: Final = 200
HISTORY_PREFIX_CHARS_MIN: Final = 2  # a last word of one letter is a whole word: as a prefix it would match everything
HISTORY_SNIPPET_WORDS: Final = 16
HISTORY_PAGE_DEFAULT: Final = 20  # as the product page says
HISTORY_PAGE_MAX: Final = 100
HISTORY_COUNT_MAX: Final = 1000  # sessions counted for a total; 1000 then means 1000 or more
HISTORY_WORDS_MAX: Final = 400  # indexed words that contain a typed one; each is looked up, the shortest first
HISTORY_SCAN_TEXTS_MAX: Final = 100_000  # newest texts that are read for parts that too many words contain; 2 s or so
HISTORY_WORD_CHARS_MAX: Final = 500  # a longer word (mostly encoded data) is found by its beginning only
HISTORY_LAG_S: Final = 0.5  # how far the search index may be behind the log; a search waits less
HISTORY_CATCH_UP_S: Final = 2.0  # a search waits so long for the log's last events, then responds without them
HISTORY_TEXTS_MAX: Final = 1 << 20  # searched texts per session: the range of a row's number
HEAD_CHARS: Final = 200  # of a text that a list shows on one line, such as a prompt
SESSION_LIST_MAX: Final = 2_000  # turns or conversations of a session in one response, about 1 MB
PART_STRING_CHARS_MAX: Final = 8 * KIB  # of a string inside a part, on request of the client; a screen shows less
ATTACHED_STEP_CHARS: Final = MIB  # of a file's base64 that are decoded in one step, about 1 ms; divisible by 4
ATTACHED_STEP_ESCAPED: Final = 16 * KIB  # likewise with JSON escapes, which are slower
ATTACHED_NAME_CHARS_MAX: Final = 255  # of an attached file's name: the limit of file systems
PAST_SNAPSHOT_EVENTS: Final = 1024  # of a stream between two kept snapshots: an earlier state is folded in about 7 ms
PAST_STREAMS_KEPT: Final = 512  # aggregates whose earlier states are cached, about 10 KiB each
PAST_MARKS_KEPT: Final = 4  # earlier states of each, for a reader that moves through the past
TURNS_KEPT: Final = 64  # sessions whose folded turns are cached; 2,000 turns take 3 MB
INDEX_LAG_EVENTS: Final = 256  # of a session that may wait for the index: a read indexes them in one page, in 6 ms
INDEX_COMPARED_ROWS: Final = 512  # of the index, compared with the log in one step, about 2 ms; then other tasks run
INDEX_FLUSH_EVENTS: Final = 4096  # indexed between two flushes of the index's journal, about 1 MB
TODO_PARTS_READ: Final = 64  # newest parts with a to-do list, compared at once: the last is nearly always it

# The process
GC_THRESHOLDS: Final = (50_000, 20, 100)  # allocations per collection: fewer pauses, and 5 to 15 % more throughput
GC_THRESHOLDS_AT_START: Final = (500_000, 20, 100)  # a start makes 210,000 objects, and hardly any garbage
SWITCH_INTERVAL_S: Final = 0.0005  # a thread may block the event loop for so long; Python's default is 5 ms

# The client
CLIENT_RETRY_S: Final = 60.0  # a restarted server is ready within seconds, on a slow disk within a minute
CLIENT_BACKOFF_S_MIN: Final = 0.1  # between attempts; doubles up to the maximum
CLIENT_BACKOFF_S_MAX: Final = 2.0
CLIENT_CONNECT_S: Final = 10.0
CLIENT_RESPONSE_S: Final = SESSION_READY_TIMEOUT_S + 30.0  # a create responds when the session accepts prompts
CLIENT_SILENCE_S: Final = 2 * HEARTBEAT_S + 5.0  # a stream without a byte for so long is lost
CLIENT_SOCKET_READ_BYTES: Final = 64 * KIB  # one read: the WebSocket library copies bytes that are not parsed yet
CLIENT_FRAME_BYTES_MAX: Final = 64 * MIB  # of a stream; the largest contain a prompt with its attachments
CLIENT_BUFFER_FRAMES_MAX: Final = 4096  # of a subscription that wait for its reader; beyond, it continues from the log
CLIENT_BUFFER_BYTES_MAX: Final = 8 * MIB  # likewise; a single frame may be larger
CLIENT_CONNECTIONS: Final = 20  # kept open between requests
CLIENT_RESPONSE_BYTES_MAX: Final = 256 * MIB  # of a response that is not a stream; the largest are pages of messages
PROBLEM_BYTES_MAX: Final = MIB  # of the error response to a stream; Fleet's own are a few kilobytes
PROBLEM_TEXT_CHARS_MAX: Final = 500  # of another program's response, in the error about it
MCP_WAIT_S_MAX: Final = 50.0  # one call: OpenCode cancels a tool after about a minute; the agent calls again
MCP_RETRY_S: Final = 20.0  # a call waits so long for a Fleet that restarts, then the agent gets an error
MCP_CALLER_S: Final = 1.5  # OpenCode reports a call just before it makes it; the event takes some ms to arrive
MCP_TEXT_CHARS_MAX: Final = 50_000  # of a response: it becomes part of the agent's context
