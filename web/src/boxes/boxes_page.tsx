import { PlusOutlined, SearchOutlined } from "@ant-design/icons";
import { Button, Empty, Input, Skeleton } from "antd";
import { type ReactNode, useState } from "react";
import type { BoxView } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { useLive } from "../live/mod.ts";
import { PageHead } from "../ui/mod.ts";
import { AddBox } from "./add_box.tsx";
import { BoxCard } from "./box_card.tsx";

/** With fewer boxes a search only takes room. */
const SEARCH_FROM = 6;

/** Every box with its doors. */
export function BoxesPage(): ReactNode {
  const t = useMessages();
  const boxes = useLive((state) => state.boxes);
  const [adding, setAdding] = useState(false);
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const shown = boxes?.filter((box) => searchText(box).includes(wanted)).sort(inOrder);
  const addButton = (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>
      {t.boxes.add}
    </Button>
  );
  return (
    <>
      <PageHead
        title={t.boxes.title}
        note={boxes && boxes.length > 0 &&
          t.boxes.summary(boxes.filter((box) => box.online).length, boxes.length)}
      >
        {boxes && boxes.length >= SEARCH_FROM && (
          <Input
            className="filter-text"
            aria-label={t.boxes.search}
            allowClear
            prefix={<SearchOutlined />}
            placeholder={t.boxes.search}
            value={text}
            onChange={(change) => setText(change.target.value)}
          />
        )}
        {boxes && boxes.length > 0 && addButton}
      </PageHead>
      {boxes === undefined && (
        <div className="cards">
          {[1, 2].map((key) => (
            <div className="panel pad" key={key}>
              <Skeleton active paragraph={{ rows: 4 }} />
            </div>
          ))}
        </div>
      )}
      {boxes?.length === 0 && (
        <div className="panel pad">
          <Empty
            image={Empty.PRESENTED_IMAGE_SIMPLE}
            description={
              <>
                <h2>{t.boxes.none}</h2>
                <p>{t.boxes.noneHint}</p>
              </>
            }
          >
            {addButton}
          </Empty>
        </div>
      )}
      {boxes && boxes.length > 0 && shown?.length === 0 && (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t.boxes.noMatch} />
      )}
      <div className="cards">
        {shown?.map((box) => <BoxCard key={box.id} box={box} />)}
      </div>
      {adding && <AddBox onClose={() => setAdding(false)} />}
    </>
  );
}

function searchText({ name, id, status }: BoxView): string {
  return [name, id, ...status?.doors.map((door) => door.id) ?? []].join(" ").toLowerCase();
}

/** By name: a list that jumps when a box goes offline is one in which the wrong door is opened. */
function inOrder(a: BoxView, b: BoxView): number {
  return a.name.localeCompare(b.name) || a.id.localeCompare(b.id);
}
