/** An object URL for bytes that the page has, valid while they are shown. */
import { useEffect, useState } from "react";

/** Return the URL; null before the first paint, and if there are no bytes. */
export function useObjectUrl(data: Blob | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (data === null) return;
    const made = URL.createObjectURL(data);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [data]);
  return address;
}
