/** How tokens are made. They are made on the server's own machine: a page that is open somewhere must not hand them out. */
import type { ReactNode } from "react";
import { Table } from "../../ui/page.tsx";

const COMMANDS = [
  ["fleet token new --role operator --name NAME", "make a token; the role viewer is for one who may only look"],
  ["fleet token link NAME", "print a link that logs a browser in, good once, for ten minutes"],
  ["fleet token ls", "list the tokens and when they were used"],
  ["fleet token revoke NAME", "take a token back; what is open under it ends at once"],
] as const;

export function Tokens(): ReactNode {
  return (
    <Table label="Commands for tokens" columns={["On the server's machine", "What it does"]}>
      {COMMANDS.map(([command, what]) => (
        <tr key={command}>
          <td>
            <code>{command}</code>
          </td>
          <td>{what}</td>
        </tr>
      ))}
    </Table>
  );
}
