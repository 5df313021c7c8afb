"""Every limit in Fleet, with unit and reason (law 7). Units go last in the name."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# HTTP door
BODY_BYTES_MAX: Final = 20 * MIB  # attachments included
HEADER_BYTES_MAX: Final = 32 * KIB
HEADER_BYTES_READ_MAX: Final = 128 * KIB  # the server gives up beyond, with a bare 431; up to here we say why
PROMPT_TEXT_BYTES_MAX: Final = MIB  # longer texts belong in a file
TITLE_CHARS_MAX: Final = 200
IDEMPOTENCY_KEY_CHARS_MAX: Final = 200
KEEP_ALIVE_S: Final = 5.0  # from a connection's begin, or its last answer, to the end of the next request's headers
BODY_READ_S: Final = 60.0  # 20 MB over 3 Mbit/s
REQUESTS_PER_CLIENT_MAX: Final = 512  # under way at a time; some wait a minute for a session to be ready
GZIP_BYTES_MIN: Final = 8 * KIB  # smaller JSON fits into a few packets: compressing it gains nothing
GZIP_LEVEL: Final = 5  # 200 sessions: 190 KB become 19 KB in 3 ms; a higher level gains 2 % for twice the time
PAGE_BYTES_MAX: Final = 64 * MIB  # of the built page, held in memory with its compressed files; it has 4
STREAMS_PER_CLIENT_MAX: Final = 2048  # open at a time; a reader costs some 30 KiB

# Access tokens
TOKENS_MAX: Final = 200  # revoked ones included: the names of all stand in the log
TOKEN_NAME_CHARS_MAX: Final = 40
COOKIES_PER_TOKEN_MAX: Final = 10  # browsers that one token is logged in with; the oldest goes first
LINKS_PER_TOKEN_MAX: Final = 10  # that were not used yet; the oldest goes first: each is a row of the file
LINK_LIFETIME_S: Final = 600.0  # time to get to the browser
OPEN_LINK_LIFETIME_S: Final = 60.0  # of `fleet open`: the browser starts meanwhile; others may see its arguments
COOKIE_LIFETIME_S: Final = 30 * 86_400.0
TOKEN_POLL_S: Final = 1.0  # an open stream whose token was revoked ends after so long; requests know at once
LOGIN_FAILURES_MAX: Final = 10  # of one peer in a row, then 429
LOGIN_FAILURE_REFILL_S: Final = 6.0  # after so long it has one more
CLIENT_ADDRESSES_REMEMBERED_MAX: Final = 4096  # addresses; the one that was seen longest ago is forgotten
BUDGET_MAX: Final = 10**12  # dollars, tokens or minutes: more is no bound
TAGS_MAX: Final = 50
PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
SESSIONS_PAGE_MAX: Final = 1000  # sessions in one response, about 1.5 MB: they are encoded already
PATH_CHARS_MAX: Final = 4096  # the kernel's own limit, in bytes
UNREAD_BODY_DRAIN_S: Final = 1.0  # an answer waits so long for a body that nobody reads; the rest closes the connection
FIND_QUERY_CHARS_MAX: Final = 200  # of a name that is looked for: a file's, a directory's, a branch's

# Event log
EVENT_BYTES_MAX: Final = 32 * MIB  # one prompt with attachments (20 MiB as base64) and its envelope
BATCH_EVENTS_MAX: Final = 2048  # a commit of this size costs about 6 ms; more would only add latency
APPEND_QUEUE_MAX: Final = 16_384  # appends that wait for the writer, then `overloaded`
MAP_BYTES_INITIAL: Final = 256 * MIB  # LMDB's map is sparse: it costs address space, not disk
DISK_FREE_BYTES_MIN: Final = 64 * MIB  # refuse appends below, so that LMDB never meets a full disk half-way
DISK_REUSABLE_BYTES_MIN: Final = 8 * MIB  # … unless the log has so much inside, of what was erased: it need not grow
DISK_RESERVE_BYTES: Final = 8 * MIB  # held back for a start and an erasure on a full disk: each takes 1 to 3 MiB
BATCH_BYTES_MAX: Final = 64 * MIB  # of payloads in one commit: bounds its memory and how long it holds the others up
APPEND_QUEUE_BYTES_MAX: Final = 256 * MIB  # of payloads that wait for the writer, then `overloaded`
STREAM_NAME_BYTES_MAX: Final = 256  # an LMDB key of 511 bytes holds name and position
STREAM_HEADS_MAX: Final = 65_536  # versions of streams kept in memory, about 10 MiB; others are looked up
ERASE_PAGE_EVENTS: Final = 256  # erased in one commit, about 2 ms; longer streams take several, others in between
BLOB_BYTES_MAX: Final = 32 * MIB  # one content; what is larger is cut by who puts it
BLOB_PUT_BYTES_MAX: Final = 512 * MIB  # of contents in one put: it is held in memory, and LMDB's transaction with it
BLOB_MAP_BYTES: Final = 256 * 1024 * MIB  # address space of the blob store, not disk
VERIFY_PAGE_EVENTS: Final = 128  # proven in one go, about 2 ms; then others have their turn
LOG_SEARCH_PAGE_EVENTS: Final = 512  # headers looked at in one go, about 1 ms; then others have their turn
LOG_SEARCH_EVENTS_MAX: Final = 16_384  # headers that one request looks at, about 50 ms; then it says where to go on
LOG_SEARCH_PAGE_BYTES: Final = 8 * MIB  # of payloads in one answer: it ends with the event that reaches this
LOG_CHAIN_EVENTS_MAX: Final = 200  # events of one answer about what led to what
LOG_TYPES_CHARS_MAX: Final = 4096  # of a list of types of events, which all together are half of it
EXPORT_PAGE_EVENTS: Final = 128  # exported in one go, about 2 ms; then others have their turn
EXPORT_PAGE_BYTES: Final = MIB  # likewise; what a reader that does not read holds of it in memory
REPLAY_PAGE_EVENTS: Final = 1024  # read in one go while replaying, about 3 ms
SNAPSHOTS_WAITING_MAX: Final = 256  # for the next commit; the oldest beyond are dropped, a snapshot is disposable
SNAPSHOT_EVERY_EVENTS: Final = 256  # bounds the fold of one activation to about a millisecond

# Feed and live streams
FEED_BUFFER_EVENTS_MAX: Final = 1024  # per subscription, then it is saturated and catches up from the log
FEED_PAGE_EVENTS: Final = 256  # events read from the log in one go while catching up
FEED_BUFFER_BYTES_MAX: Final = 8 * MIB  # of payloads likewise; a single event may be larger
FEED_PAGE_BYTES: Final = MIB  # of payloads in such a page: it ends with the event that reaches this
SIGNAL_BUFFER_MAX: Final = 4096  # per reader; signals beyond are dropped, the finished part supersedes them
SIGNAL_BUFFER_BYTES_MAX: Final = 4 * MIB  # likewise; the state of a tool comes with all of its output so far
TOOL_SIGNAL_S: Final = 0.25  # between two signals of one tool, each of which repeats all of its output
RESPONSE_SLICE_ITEMS: Final = 32  # of a long list that are read and encoded in one go, about 2 ms; then others run
ENCODED_SLICE_ITEMS: Final = 128  # likewise, where most are encoded already: about 0.3 ms, and 6 ms where none is
RESPONSE_SLICE_BYTES: Final = 256 * KIB  # likewise
HEARTBEAT_S: Final = 15.0
QUERIES_CACHED: Final = 16  # decoded queries, for each route: clients ask the same again
FRAMES_CACHED: Final = 4096  # encoded events that live readers share
FRAMES_CACHED_BYTES: Final = 64 * MIB  # likewise
ACCEPT_FAILED_LOG_S: Final = 60.0  # between two lines that there are no more files for connections
FILES_MAX: Final = 16_384  # open at a time: streams, requests, the log, pipes of processes; shells often allow 1,024
STREAMS_OPEN_MAX: Final = 4096  # event streams and WebSockets; each takes about 100 KiB and a file descriptor
STREAM_WRITE_S: Final = (
    0.0001  # from round to round for each stream, where many wait: some three times what a write takes
)
STREAM_WRITERS_MAX: Final = 16  # streams that begin to write at one pass of the event loop, about 2 ms; then others run
SOCKET_SUBSCRIPTIONS_MAX: Final = 100  # of one WebSocket; one subscription may name many sessions
SOCKET_SESSIONS_MAX: Final = 1000  # that one subscription names; `*` follows all
SOCKET_COMMANDS_MAX: Final = 64  # of one WebSocket that are being carried out; the rest is told to come again
SOCKET_COMMANDS_BYTES_MAX: Final = 2 * BODY_BYTES_MAX  # of their frames together
SOCKET_FRAME_BYTES_MAX: Final = BODY_BYTES_MAX + 64 * KIB  # from a client: a command with the largest body
SOCKET_ID_CHARS_MAX: Final = 64  # the client's names for its subscriptions and commands
SOCKET_PATH_CHARS_MAX: Final = 4096  # of a command
SOCKET_RESPONSES_MAX: Final = 256  # that wait for a client to read them; no more is taken from it until it does
SOCKET_WRITE_BYTES: Final = 256 * KIB  # a write is sent off when it has so much
SOCKET_CLOSE_GRACE_S: Final = 1.0  # for a client to read why its WebSocket was closed, before the connection goes
HTTP_GRACE_S: Final = 5.0  # running requests at a shutdown
STREAM_WRITE_TIMEOUT_S: Final = 30.0  # a reader that takes no byte for so long is cut off and resumes from its cursor

# Actors
SUBAGENTS_REMEMBERED_MAX: Final = 10_000  # which session a sub-agent works for; the oldest are forgotten
MAILBOX_MESSAGES_MAX: Final = 1024
MAILBOX_CONTROL_MAX: Final = 64  # control messages are rare; more of them waiting is a bug
MAILBOX_BURST_MAX: Final = 64  # messages an actor takes in one go before it lets others run
ACTORS_ACTIVE_MAX: Final = 16_384  # per directory; an active aggregate costs about 10 KiB
ASK_TIMEOUT_S: Final = 30.0
PASSIVATE_AFTER_S: Final = 300.0  # an idle aggregate leaves memory
RESTART_INTENSITY: Final = 5  # restarts within RESTART_WINDOW_S before a supervisor gives up
RESTART_WINDOW_S: Final = 60.0
RESTART_BACKOFF_FIRST_S: Final = 0.1  # most crashes are gone at the second try
RESTART_BACKOFF_MAX_S: Final = 10.0  # long enough for a disk or a process to come back, short enough to be noticed
CHILD_STOP_GRACE_S: Final = 10.0  # ask, wait so long, then cancel
CHILDREN_MAX: Final = 16_384  # per supervisor; one per active aggregate

# OpenCode processes
SPAWN_READY_TIMEOUT_S: Final = 60.0  # a cold start with a database migration takes up to 10 s on a slow disk
SESSION_READY_TIMEOUT_S: Final = 90.0
TERM_GRACE_S: Final = 3.0  # OpenCode swallows the first SIGTERM now and then: TERM, wait, TERM, wait, KILL
KILL_GRACE_S: Final = 5.0
REMNANT_GRACE_S: Final = 2.0  # what a tool left running has so long to end after TERM
ABORT_GRACE_S: Final = 8.0  # OpenCode kills a stubborn shell 3 s after the abort
DIRECTORY_RELEASE_S: Final = (
    4.0  # OpenCode kills a stubborn MCP server 2 to 3 s after it was told to dispose of a directory
)
OPENCODE_MODELS_TIMEOUT_S: Final = 20.0  # asked once at the start, measured at 1.7 s
CONNECT_TIMEOUT_S: Final = 10.0  # a session waits so long for the connection to its ready instance
OPENCODE_REQUEST_TIMEOUT_S: Final = 15.0  # the slowest call measured is 0.8 s; a boot stalls others by 0.4 s
OFFERS_DELAY_S: Final = 3.0  # from ready until an instance is asked what it offers: its first session comes first
OFFERS_ASK_S: Final = 5.0  # for agents, commands and models together
OFFERS_FRESH_S: Final = 30.0  # a repository is asked again after so long
OFFERS_KEPT: Final = 64  # repositories whose offers stay in memory; some hundred models each
OPENCODE_REFUSED_S: Final = 60.0  # what it refuses for so long is final; a locked database takes 5 s
OPENCODE_CLI_TIMEOUT_S: Final = 60.0  # import of a fork's messages; 1.4 s for a short conversation
COMMAND_ACCEPT_S: Final = 2.0  # an unknown command is refused at once; one that runs answers when its turn is over
OPENCODE_RESPONSE_BYTES_MAX: Final = 256 * MIB
OPENCODE_TOKENS_MAX: Final = 10**12  # of one message; any number of these add up to what a log and a program can hold
OPENCODE_COST_USD_MAX: Final = 1e9  # likewise
OPENCODE_TIME_MS_MAX: Final = 253_402_300_799_000  # the last second of the year 9999
HTTP_READ_BYTES: Final = 256 * KIB  # one look at a socket; tokens that wait there are joined
OPENCODE_CONNECTIONS_KEPT_MAX: Final = 8  # per process, while nobody asks anything
ALLOWANCES_KEPT: Final = 200  # permissions that a process holds for good, as its state shows them; the log has all
EVENT_SILENCE_S: Final = 25.0  # heartbeats come every 10 s
OPENCODE_LOG_TAIL_BYTES: Final = 4 * KIB  # of the process's log, in the error that a failed start gives
EVENT_LINE_BYTES_MAX: Final = 64 * MIB  # one SSE line of OpenCode: a part holds a tool's whole output
EVENT_RECONNECT_S_MIN: Final = 0.1  # doubles up to the maximum while an event stream cannot be opened
EVENT_RECONNECT_S_MAX: Final = 2.0
EVENT_TYPES_COUNTED_MAX: Final = 200  # unknown event types counted by name
PORT_ATTEMPTS_MAX: Final = 5  # somebody else may take the port between its choice and OpenCode's start
PORT_SETTLE_S: Final = 6.0  # a taken port makes OpenCode exit after 1 s; announcing takes 1.1-2.5 s
FIRST_START_S: Final = 20.0  # others wait so long for the start that creates or migrates the database
PROCESS_POLL_S: Final = 0.05  # how often a log or process is looked at where nothing wakes us
ENVIRONMENT_SCAN_S: Final = 0.1  # between two sweeps: a scan of all processes costs 50 us for each
OPENCODE_LOG_HEAD_BYTES: Final = 64 * KIB  # the announcement stands at the beginning of the process's log
OPENCODE_LOG_BYTES_MAX: Final = 16 * MIB  # OpenCode writes some KiB; a plugin of a repository writes what it likes
OPENCODE_LOG_CHECK_S: Final = 10.0
OPENCODE_LOGS_KEPT: Final = 100  # of processes that are no more
OPENCODE_VERSION_TIMEOUT_S: Final = 30.0  # `opencode --version` takes 0.6 s, several s from a cold disk

ABORT_WAIT_S: Final = 20.0  # an abort request waits so long for the turn to end, then says `aborting`
TERMINATE_WAIT_S: Final = 30.0
SHUTDOWN_GRACE_S: Final = 30.0  # aborts (8 s) and the stop ladder (2 x 3 s, 5 s) of all instances side by side
SHUTDOWN_REST_S: Final = 15.0  # the ladder and a sweep once more, for what has not ended by then

# Turns
DELIVERY_CONFIRM_TIMEOUT_S: Final = 20.0  # the message shows within 0.7 s of the 204; a stalled boot is slower
DELIVERY_ATTEMPTS_MAX: Final = 5
# Waits before each look for the message; the last repeats. An earlier look would hold up an OpenCode busy with it.
DELIVERY_POLL_S: Final = (0.1, 0.1, 0.2, 0.5)
DELIVERY_RETRY_S_MAX: Final = 16.0  # between attempts while OpenCode does not answer: it doubles up to this
REPLY_RETRY_S: Final = 2.0  # between tries to give OpenCode an answer
DELIVERY_ERROR_GRACE_S: Final = 1.5  # after an error without a message: an unknown agent leaves nothing behind
DELIVERY_LATE_GRACE_S: Final = 2.0  # a prompt whose session is terminated may be on its way for 0.7 s after the 204
DETACH_RETRY_S: Final = 2.0  # between tries to abort what a session has left behind in a process that was silent
TURN_POLL_S: Final = 5.0  # status is asked this often while a turn runs: idle events get lost
TURN_SETTLE_S: Final = 0.1  # OpenCode's last parts come up to 100 ms after its first idle event
TURN_RECHECK_S: Final = 0.2  # between looks while OpenCode is idle and its messages are not complete yet
TURN_INCOMPLETE_GRACE_S: Final = 2.0  # the final message of a failed turn comes after the first idle event
TURN_START_GRACE_S: Final = 15.0  # from the delivery to the first sign of work: a cold directory takes up to 4 s
TURN_SILENCE_S: Final = 900.0  # busy without any event for so long: give up waiting for the model
TURN_RETRY_S: Final = 600.0  # OpenCode may retry a model without end (before 1.18.16)
DELAY_RETRY_S: Final = 10.0  # the model is called again for so long, or not before: the evidence says so
DELAY_MCP_S: Final = 10.0  # nothing has come of a turn for so long: OpenCode may wait for MCP servers, 30 s for each
DELAY_STEPS_MIN: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 960)  # at these ages a delay is told again
DELAY_LONG_MIN: Final = 5  # a person is told of a model or an MCP server that keeps a turn waiting for so long
DELAY_TOOL_LONG_MIN: Final = 15  # and of a tool: test suites and builds take minutes
MCP_ANSWER_S: Final = 2.0  # `/mcp` answers at once unless a server is still starting
TURN_UNKNOWN_STEPS_MAX: Final = 5  # `finish: unknown` makes OpenCode call the model again at once, without limit
ATTACHMENTS_MAX: Final = 50  # files per prompt
TRANSCRIPT_KNOWN_MAX: Final = 200  # messages, and parts, of earlier turns whose late changes are told from new ones
REQUESTS_REMEMBERED_MAX: Final = 200  # settled request ids, which OpenCode may list again; and as many answers
CALLBACKS_REMEMBERED_MAX: Final = 20  # callbacks of a child that are over and still shown
CALLBACK_DEPTH_MAX: Final = 8  # ancestors of a session: a longer chain of callbacks is a runaway
CALLBACK_FILES_MAX: Final = 20  # named to the parent; of further ones it hears the number
CALLBACK_MESSAGE_BYTES_MAX: Final = 4 * KIB  # of the child's last message: the parent reads it as a part of a prompt
CALLBACK_MESSAGES_READ: Final = 20  # from the last one back; those that only used tools say nothing
CALLBACK_RETRY_S: Final = 60.0  # a parent that can't take a callback is asked again when it changes, or after so long
RECOVERY_BATCH: Final = 20  # unfinished aggregates that a start takes up at once
RECOVERY_PAUSE_S: Final = 0.02  # between batches
WORKSPACE_SWEEP_S: Final = 30.0  # between looks whether the workspaces are there: two calls of the system for each
IDLE_SWEEP_S: Final = 30.0  # between looks for instances that nobody needs
NOTIFICATIONS_MAX: Final = 50  # per session, the oldest go first
QUEUE_PROMPTS_MAX: Final = 100  # waiting prompts per session
QUEUE_BYTES_MAX: Final = 40 * MIB  # of waiting prompts: one more is taken below it; they are in memory and in snapshots

# The fleet view and the inbox view
ACTIVITY_PARTS_MAX: Final = 64  # parts in flight of one session that are remembered; the oldest are forgotten
FLEET_ITEM_INTERVAL_S: Final = 0.25  # between two frames of one session, or of the inbox: people do not read faster
FLEET_PAGE_ITEMS: Final = 100  # in one frame while a view begins, about 4 ms and 150 KiB
FLEET_WAITING_MAX: Final = 4096  # sessions that wait for one slow reader, then it is told that it lags
FLEET_ENDED_S: Final = 86_400.0  # sessions that ended longer ago are not in the view: the history has them
FLEET_ERASED_MAX: Final = 1000  # erased sessions remembered for readers that come back; older readers get all again
MODEL_LIMITS_MAX: Final = 4096  # models whose context limit is remembered; a provider has some hundred
MODEL_LIMITS_RETRY_S: Final = 30.0  # after a process has not told its models
SESSION_DETAILS_CACHED: Final = 256  # encoded sessions with those around them, a few KiB each; likewise
SECONDS_CACHED: Final = 4096  # times as text, 100 bytes each: items show the same seconds again and again
FLEET_ITEMS_CACHED: Final = 4096  # encoded sessions, about 6 MiB; the one encoded longest ago goes first

# Diffs
DIFF_COUNT_LINES_MAX: Final = 20_000  # of a file that several turns changed; beyond, their line counts are added up
DIFF_LIVE_BYTES_MAX: Final = 64 * MIB  # contents of diffs of running turns that stay in memory: two of the largest
DIFF_LIVE_ENTRY_BYTES: Final = 512  # that each of them counts beside its content: what its place in memory takes
DIFF_COUNT_EDITS_MAX: Final = 1_000  # likewise, of lines that both sides have: the work is its square, 0.3 s

# Policy of the operator, by default
INSTANCES_MAX: Final = 32  # OpenCode processes; each takes 300 to 900 MiB
MEMORY_FREE_BYTES_MIN: Final = 512 * MIB  # left when another process is started
IDLE_TIMEOUT_S: Final = 1800.0  # an instance whose sessions have all been idle for so long is shut down
INSTANCE_QUEUE_MAX: Final = 100  # sessions that wait for room for another process, then `overloaded`
INSTANCE_QUEUE_S: Final = 60.0  # how long they wait; below SESSION_READY_TIMEOUT_S, so that the reason is told
INSTANCE_QUEUE_POLL_S: Final = 1.0
INSTANCE_QUEUE_RETRY_S: Final = 30  # who found no place comes again after so long: turns take minutes
UNREACHABLE_GRACE_S: Final = 30.0  # silent for so long and stopped by a signal: it is hung
UNREACHABLE_POLL_S: Final = 5.0
HEALTH_TIMEOUT_S: Final = 5.0  # the slowest answer measured is 0.4 s

# Workspaces
WORKSPACE_DISCARDS_MAX: Final = 5  # attempts to remove what a failed one left, within 3 s: then who waits is told
WORKSPACE_BUSY_S: Final = 20.0  # how long a removal waits for processes to leave: the stop ladder takes 11 s
WORKSPACE_BUSY_POLL_S: Final = 0.5
BUSY_COMMAND_CHARS_MAX: Final = 80  # of the command line of a process that keeps a workspace from being removed
BUSY_PROCESSES_LISTED_MAX: Final = 10  # of those, in a refusal, which is a sentence; their pids stand beside it
PORTS_FIRST: Final = 20_000  # of those that workspaces get: below the kernel's own, above what servers listen on
PORTS_END: Final = 30_000  # the first that they do not get
PORTS_EACH: Final = 10  # of one workspace, for a server, its database and the like: a thousand workspaces have some
INCLUDE_FILES_MAX: Final = 50_000  # that `.worktreeinclude` copies into a workspace: a large node_modules, some 10 s
INCLUDE_BYTES_MAX: Final = 2 * 1024 * MIB  # likewise; more is made by the set-up in the time that copying takes
INCLUDE_PATTERNS_BYTES_MAX: Final = 64 * KIB  # of `.worktreeinclude`, which holds a few lines
INCLUDE_UNCOPIED_LISTED_MAX: Final = 5  # files that were not copied, in a sentence that says so
SETUP_FILE_BYTES_MAX: Final = 16 * KIB  # of `.fleet.toml`, which a person reads before it is allowed
SETUP_S: Final = 1800.0  # of a set-up: a cold build of a large project; what hangs is ended
TEARDOWN_S: Final = 60.0  # of a teardown, which holds up a removal
SCRIPT_OUTPUT_S: Final = 0.5  # between two pieces of a script's output: each is an event
SCRIPT_OUTPUT_BYTES_MAX: Final = 512 * KIB  # of a script's output from its beginning; of the rest only the end is kept
SCRIPT_TAIL_BYTES: Final = 32 * KIB  # that end, which says what failed
SETUP_DETAIL_CHARS: Final = 500  # of a failed set-up's last lines, in the sentence that says so
SETUPS_KEPT: Final = 64  # sessions whose output of the set-up stays in memory, half a MiB each at most
TRUSTED_MAX: Final = 1000  # contents of `.fleet.toml` that are allowed; all are looked at for each workspace
WORKSPACE_CHECK_S: Final = 5.0  # git status: 1 s for 100,000 files; what takes longer is not worth a page's wait
SESSIONS_LISTED_MAX: Final = 10  # in a refusal, which is a sentence
FILE_READ_BYTES_MAX: Final = MIB  # of a file of the workspace that is shown; nobody reads more on a page
WORKSPACE_ROOTS_MAX: Final = 100  # that clients may choose; each path is looked at against all of them
DIRECTORY_ENTRIES_MAX: Final = 5_000  # of a listed directory; the rest is counted
DIRECTORY_SEARCH_S: Final = 1.0  # a search for directories below one takes so long; then it gives what it has found
DIRECTORY_SEARCHES_MAX: Final = 2  # at a time: with 45 of them the event loop stood still for 2.8 s
DIRECTORY_SEARCH_VISITED_MAX: Final = 20_000  # directories that it looks into; a home directory has less that matter
DIRECTORY_SEARCH_FOUND_MAX: Final = 500  # directories in its answer; a longer query finds the others
ERASURE_RETRY_S: Final = 5.0  # while the disk is full
REMOVAL_WAIT_S: Final = 120.0  # a request waits so long for a removal or a restore, then says that it goes on

# Webhooks
WEBHOOKS_MAX: Final = 50  # each follows the log and may have WEBHOOK_SENDS_MAX connections open
WEBHOOK_URL_CHARS_MAX: Final = 2048
WEBHOOK_DESCRIPTION_CHARS_MAX: Final = 200
WEBHOOK_TEXT_CHARS_MAX: Final = 2000  # of what happened, in a message; the session has the rest
WEBHOOK_OPEN_MAX: Final = 100  # messages of one webhook on their way or waiting; the log keeps the ones after
WEBHOOK_SENDS_MAX: Final = 4  # messages that are sent to one receiver at a time
WEBHOOK_DELIVERIES_REMEMBERED_MAX: Final = 100  # of one webhook that are over and still shown
WEBHOOK_TIMEOUT_S: Final = 15.0  # from the look-up of the name to the answer; Standard Webhooks asks for 15 to 30
WEBHOOK_CONNECT_TIMEOUT_S: Final = 5.0  # for each address of the name
WEBHOOK_ADDRESSES_MAX: Final = 4  # of a name that are tried
WEBHOOK_RESPONSE_BYTES_MAX: Final = 64 * KIB  # an answer up to here is read to its end: who is cut off may complain
WEBHOOK_BACKOFF_FIRST_S: Final = 5.0
WEBHOOK_BACKOFF_MAX_S: Final = 4 * 3600.0  # thirteen attempts on the first day, then six a day
WEBHOOK_RETRY_WINDOW_S: Final = 3 * 86_400.0  # a weekend; then the message is dropped or the webhook disabled
WEBHOOK_CURSOR_EVENTS: Final = 10_000  # looked at in vain before the cursor is logged: 30 ms of a start
WEBHOOK_CURSOR_S: Final = 60.0  # between looks at how far that is
WEBHOOK_TEST_WAIT_S: Final = 20.0  # a request waits so long for its test message

# Metrics
COMMAND_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)  # a commit takes 0.3 to 6 ms
REQUEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)  # a create waits for OpenCode
COMMIT_BUCKETS_EVENTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)  # up to BATCH_EVENTS_MAX

# Traces
TRACE_QUEUE_SPANS: Final = 8192  # wait to be sent, 27 MB in all; what is more is dropped, the oldest first
TRACE_BATCH_SPANS: Final = 512  # in one request to the collector, a few hundred KB
TRACE_INTERVAL_S: Final = 2.0  # between two requests, unless a batch is full
TRACE_EXPORT_S: Final = 5.0  # for one batch, retries included; then it is dropped
TRACE_LINKS_MAX: Final = 128  # of a commit to its commands: as many as the SDK keeps
TRACE_END_S: Final = 3.0  # an orderly end waits so long for the last spans

# Git
GIT_TIMEOUT_S: Final = 600.0  # clones of large repositories
GIT_VERSION_TIMEOUT_S: Final = 10.0  # `git --version` takes milliseconds: a git that hangs is broken
GIT_OUTPUT_BYTES_MAX: Final = 64 * MIB
GIT_ERROR_BYTES_MAX: Final = 4 * KIB  # of git's stderr, its end: what a person reads in the error
GIT_TERM_GRACE_S: Final = 2.0  # git removes its lock files on SIGTERM; then SIGKILL for its whole group
BRANCH_BYTES_MAX: Final = 240  # a file name holds 255, and git appends `.lock`
BRANCHES_READ_MAX: Final = 5_000  # the newest of a repository, which are searched by name: 0.1 s
SLUG_CHARS_MAX: Final = 40
DIRECTORY_NAME_CHARS_MAX: Final = 100
DIRTY_PATHS_SHOWN_MAX: Final = 5  # in the error that refuses to remove somebody's work
TREE_FILE_BYTES_MAX: Final = 100 * MIB  # a larger file is left out of a snapshot: nobody reads its diff
TREE_NEW_FILES_MAX: Final = 200_000  # one snapshot reads so many files at most, in about 10 s
TREE_NEW_BYTES_MAX: Final = 4 * 1024 * MIB  # likewise
TREE_ATTEMPTS_MAX: Final = 3  # files may change while they are read; the last attempt begins from an empty index
DIFF_FILE_BYTES_MAX: Final = MIB  # of a file on each side; what is cut off is still counted
DIFF_BYTES_MAX: Final = 32 * MIB  # of one diff's contents together; has to fit in GIT_OUTPUT_BYTES_MAX
DIFF_FILES_MAX: Final = 5_000  # files of one diff; more are counted in the log of the server only
DIFF_RENAMES_MAX: Final = 400  # added or deleted files between which renames are looked for: the work is its square
IGNORED_LISTED_MAX: Final = 100  # ignored files that a removal names; a directory of them counts as one
NOT_CARRIED_LISTED_MAX: Final = 10  # files, hooks or settings in one sentence about what did not come along
PRESERVED_COMMITS_MAX: Final = (
    2_000  # commits that a kept commit names as parents; git takes no argument list without end
)

# Rehearsal model
REHEARSAL_SCRIPT_STEPS_MAX: Final = 1000
REHEARSAL_STALL_S_MAX: Final = 3600.0
REHEARSAL_STEP_TOKENS_MAX: Final = 200_000  # one answer; a piece costs about 200 bytes on the wire
REHEARSAL_TOKENS_PER_S_MAX: Final = 100_000  # above, write it unpaced
REHEARSAL_BODY_BYTES_MAX: Final = 64 * MIB  # a whole conversation with its tool outputs comes with each call
REHEARSAL_WRITE_BYTES_MAX: Final = 64 * KIB  # unpaced pieces are joined into writes of this size
REHEARSAL_COUNTED_CALLS_MAX: Final = (
    1024  # calls whose `error … times n` is still being counted; the oldest is forgotten
)

# The command line
PROCESS_REPORT_TIMEOUT_S: Final = 20.0  # of one request for `fleet ps`; a server that starts or is busy answers later

# The demo
DEMO_TIMEOUT_S: Final = 120.0  # it takes about 10 s; a machine that is ten times as slow gets its chance
DEMO_REFRESH_S: Final = 0.1  # between two pictures in the terminal

# Views
VIEW_MAP_BYTES: Final = 64 * 1024 * MIB  # address space of the disposable views, not disk
VIEW_SAVE_INTERVAL_S: Final = 2.0  # rows are written behind; what a crash leaves out is replayed at the next start
TRANSCRIPT_TAIL_MESSAGES: Final = 50  # read first when a turn ends; four times as many while the prompt is not in it
HISTORY_TEXT_BYTES_MAX: Final = 32 * KIB  # of one prompt, answer or tool's output that are searched; the rest is not
HISTORY_INPUT_BYTES_MAX: Final = 4 * KIB  # of a tool's input: what was asked for stands at its beginning
HISTORY_SEARCH_CHARS_MAX: Final = 200
HISTORY_PREFIX_CHARS_MIN: Final = 2  # a last word of one letter is a whole word: as a beginning it would hit everything
HISTORY_SNIPPET_WORDS: Final = 16
HISTORY_PAGE_DEFAULT: Final = 20  # the product page's
HISTORY_PAGE_MAX: Final = 100
HISTORY_COUNT_MAX: Final = 1000  # sessions counted for a total; "1000" then means that many or more
HISTORY_WORDS_MAX: Final = 100  # that hold what was typed; each is looked up, the shortest first
HISTORY_WORD_CHARS_MAX: Final = 500  # a longer word (encoded data, mostly) is found by its beginning alone
HISTORY_LAG_S: Final = 0.5  # the model is behind for so long at most, unless a search waits for it
HISTORY_CATCH_UP_S: Final = 2.0  # a search waits so long for the log's last events, then answers with what it has
HISTORY_TEXTS_MAX: Final = 1 << 20  # searched texts per session; a row's number has so much room
HEAD_CHARS: Final = 200  # of a prompt or of another text where a list shows it on one line
SESSION_LIST_MAX: Final = 2_000  # turns or conversations of a session in one answer, about 1 MB
PART_STRING_CHARS_MAX: Final = 8 * KIB  # of a string inside a part that is read cut; a screen shows less
ATTACHED_STEP_CHARS: Final = MIB  # of a file's base64 that are decoded in one go, about 1 ms; divisible by 4
ATTACHED_STEP_ESCAPED: Final = 16 * KIB  # likewise of one that is written with escapes, each of which takes its time
ATTACHED_NAME_CHARS_MAX: Final = 255  # of an attached file's name: what a file system takes
PAST_STREAMS_KEPT: Final = 512  # aggregates whose earlier states stay in memory, some 10 KiB each
PAST_MARKS_KEPT: Final = 4  # earlier states of each, for a reader that goes back and forth
CHANGE_RECORDS_KEPT: Final = 256  # sessions whose records of changes stay in memory; 2,000 turns take 2 MB
TRANSCRIPTS_CACHED: Final = 64  # sessions whose folded transcript stays in memory

# The process
GC_THRESHOLDS: Final = (50_000, 20, 100)  # allocations per collection: fewer pauses; measured at 5 to 15 % throughput
SWITCH_INTERVAL_S: Final = 0.0005  # for which a thread keeps the interpreter from the event loop; 5 ms are the default

# The client
CLIENT_RETRY_S: Final = 60.0  # a server that is restarted is back within seconds, on a slow disk within a minute
CLIENT_BACKOFF_S_MIN: Final = 0.1  # between attempts; doubles up to the maximum
CLIENT_BACKOFF_S_MAX: Final = 2.0
CLIENT_CONNECT_S: Final = 10.0
CLIENT_RESPONSE_S: Final = SESSION_READY_TIMEOUT_S + 30.0  # a create answers when the session can take a prompt
CLIENT_SILENCE_S: Final = 2 * HEARTBEAT_S + 5.0  # a stream that gives no sign of life for so long is lost
CLIENT_SOCKET_READ_BYTES: Final = (
    64 * KIB
)  # one look at that of a WebSocket, whose library copies what it has not parsed yet
CLIENT_FRAME_BYTES_MAX: Final = 64 * MIB  # of a stream; the largest hold a prompt with its attachments
CLIENT_BUFFER_FRAMES_MAX: Final = 4096  # of a subscription that wait for its reader, then it goes on from the log
CLIENT_BUFFER_BYTES_MAX: Final = 8 * MIB  # likewise; a single frame may be larger
CLIENT_CONNECTIONS: Final = 20  # kept open between requests
PROBLEM_TEXT_CHARS_MAX: Final = 500  # of an answer that is none of Fleet's, in the error that tells of it
MCP_WAIT_S_MAX: Final = 50.0  # one call; OpenCode gives up on a tool after a minute or so, and the agent asks again
MCP_RETRY_S: Final = (
    20.0  # how long a call waits for a Fleet that restarts, before the agent is told that none is there
)
MCP_CALLER_S: Final = 1.5  # OpenCode tells of a call a moment before it is made; its event takes some ms to arrive
MCP_TEXT_CHARS_MAX: Final = 50_000  # of an answer: it goes into the agent's context
