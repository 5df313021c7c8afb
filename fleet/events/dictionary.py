"""The dictionary of compressed payloads: what most payloads repeat, so that even a short one becomes shorter.

It is part of the format of the log: a changed byte makes every compressed payload unreadable. A better dictionary is a
second one, with a flag of its own in codec.py. The likeliest words are at its end, where references are shortest.
"""

from typing import Final

_TOKENS: Final = '"tokens":{"cache":{"read":0,"write":0},"input":0,"output":0,"reasoning":0'
_OWN_TOKENS: Final = '"tokens":{"input":0,"output":0,"reasoning":0,"cache_read":0,"cache_write":0},"created_ms":1'
_PART: Final = '{"at_ms":1,"part_id":"prt_","message_id":"msg_","type":"'
_IDS: Final = '","messageID":"msg_","sessionID":"ses_"'

DICTIONARY: Final = "".join(
    (
        '","attachments":[],"agent":null,"model":null,"command":null}{"at_ms":1,"prompt_id":"',
        '","body":{"questions":[{"question":"","header":"","options":[{"label":"","description":""}]}],"tool":{',
        '"callID":"call_","always":[""],"permission":"bash","patterns":[""],"metadata":{"command":"","description":"',
        '","kind":"permission","kind":"question","request_id":"per_","answer":{"reply":"once","message":null',
        '","strategy":"worktree","source_directory":"/home/","source_repository":"/.git","directory":"/home/',
        '","totals":{"files":1,"additions":1,"deletions":0},"overlaps":[],"turn_totals":{"files":1,"additions":1',
        '{"at_ms":1,"number":1,"tree":"","turn_manifest":"","session_manifest":"","evidence":"","outcome":"finished',
        '"input":{"todos":[{"content":"","status":"pending","priority":"medium","id":"","status":"in_progress',
        '"input":{"pattern":"","path":"","offset":0,"limit":2000,"oldString":"","newString":"","replaceAll":false',
        '"filediff":{"file":"","before":"","after":"","patch":"","additions":0,"deletions":0},"diff":"Index: ',
        '"input":{"description":"","prompt":"","subagent_type":"general"},"metadata":{"sessionId":"ses_","model":{',
        '"input":{"content":"","filePath":"/"},"metadata":{"diagnostics":{},"exists":false,"filepath":"/',
        'Wrote file successfully.","status":"completed","time":{"end":1,"start":1},"title":"',
        '<file>\\n00001| \\n(End of file - total  lines)\\n</file>","preview":"","truncated":false},"output":"',
        '"input":{"command":"","description":"","timeout":120000,"workdir":"/"},"metadata":{"description":"","exit":0,',
        '"output":"","truncated":false},"output":"","status":"error","status":"completed","time":{"end":1,"start":1},',
        '"title":""},"tool":"read","tool":"edit","tool":"write","tool":"bash","type":"tool"},"opencode_id":"ses_"}',
        _PART + 'tool","body":{"callID":"call_","id":"prt_' + _IDS + ',"state":{"input":{',
        _PART + 'reasoning","body":{"id":"prt_' + _IDS + ',"text":"","time":{"end":1,"start":1},"type":"reasoning"},',
        _PART + 'patch","body":{"files":["/"],"hash":"","id":"prt_' + _IDS + ',"type":"patch"},"opencode_id":"ses_"}',
        '{"at_ms":1,"message_id":"msg_","opencode_id":"ses_","role":"user","body":{"agent":"build","id":"msg_","model":{',
        '"modelID":"","providerID":""},"role":"user","sessionID":"ses_","summary":{"diffs":[]},"time":{"created":1}},',
        '"cost_usd":0.0,' + _OWN_TOKENS + "}",
        '{"at_ms":1,"message_id":"msg_","opencode_id":"ses_","role":"assistant","body":{"agent":"build","cost":0.0',
        ',"finish":"stop","finish":"tool-calls","id":"msg_","mode":"build","modelID":"","parentID":"msg_","path":{',
        '"cwd":"/","root":"/"},"providerID":"","role":"assistant","sessionID":"ses_","time":{"completed":1,"created":1},',
        _TOKENS + '}},"cost_usd":0.0,' + _OWN_TOKENS + "}",
        _PART
        + 'text","body":{"id":"prt_'
        + _IDS
        + ',"text":"","time":{"end":1,"start":1},"type":"text"},"opencode_id":"',
        _PART + 'step-finish","body":{"cost":0.0,"id":"prt_' + _IDS + ',"reason":"stop","reason":"tool-calls"',
        ',"sessionID":"ses_","snapshot":"",' + _TOKENS + ',"total":1},"type":"step-finish"},"opencode_id":"ses_"}',
        _PART + 'step-start","body":{"id":"prt_' + _IDS + ',"snapshot":"","type":"step-start"},"opencode_id":"ses_"}',
    )
).encode()
