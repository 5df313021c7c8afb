import type { ReactNode } from "react";
import { Empty } from "../../ui/states.tsx";

export function LoginPage(): ReactNode {
  return <Empty>The server asks for a login. Run fleet token link NAME and open the link that it prints.</Empty>;
}
