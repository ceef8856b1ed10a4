import { CheckOutlined, CopyOutlined } from "@ant-design/icons";
import { Button, Tooltip } from "antd";
import { type ReactNode, useState } from "react";
import { after } from "../clock.ts";
import { useMessages } from "../i18n/mod.ts";

/** Copies `text`; says so for a moment. */
export function CopyButton(
  { text, label, children }: {
    readonly text: string;
    readonly label: string;
    readonly children?: ReactNode;
  },
): ReactNode {
  const t = useMessages();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    after(1_500, () => setCopied(false));
  };
  return (
    <Tooltip title={copied ? t.copied : label}>
      <Button
        size="small"
        type={children === undefined ? "text" : "default"}
        aria-label={label}
        icon={copied ? <CheckOutlined /> : <CopyOutlined />}
        onClick={() => void copy()}
      >
        {children}
      </Button>
    </Tooltip>
  );
}
