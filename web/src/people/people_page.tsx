import { ImportOutlined, SearchOutlined } from "@ant-design/icons";
import { Button, Empty, Input, Table, type TableColumnsType, Tag } from "antd";
import { type ReactNode, useEffect, useState } from "react";
import { type ApiFault, type CardholderPage, type CardholderView, faultOf } from "../api/mod.ts";
import { after } from "../clock.ts";
import { date, type Language, type Messages, useLanguage } from "../i18n/mod.ts";
import { useConsole } from "../live/mod.ts";
import { FaultNotice, PageHead } from "../ui/mod.ts";
import { ImportDialog } from "./import_dialog.tsx";

const PAGE_SIZE = 25;
/** So that not every letter is a question to the district. */
const TYPING_MS = 250;

/** Cardholders with their cards; import of a list. */
export function PeoplePage(): ReactNode {
  const { language, t } = useLanguage();
  const { api } = useConsole();
  const [typed, setTyped] = useState("");
  const [search, setSearch] = useState("");
  const [page, setPage] = useState(1);
  const [revision, setRevision] = useState(0);
  const [data, setData] = useState<CardholderPage>();
  const [fault, setFault] = useState<ApiFault>();
  const [loading, setLoading] = useState(true);
  const [importing, setImporting] = useState(false);

  useEffect(() =>
    after(TYPING_MS, () => {
      setSearch(typed.trim());
      setPage(1);
    }), [typed]);
  useEffect(() => {
    const stop = new AbortController();
    setLoading(true);
    api.cardholders({ search, offset: (page - 1) * PAGE_SIZE, limit: PAGE_SIZE }, stop.signal)
      .then((next) => {
        setData(next);
        setFault(undefined);
      }, (error) => stop.signal.aborted || setFault(faultOf(error)))
      .finally(() => stop.signal.aborted || setLoading(false));
    return () => stop.abort();
  }, [api, search, page, revision]);
  const reload = () => setRevision((n) => n + 1);
  const importButton = (
    <Button
      type="primary"
      icon={<ImportOutlined />}
      onClick={() => setImporting(true)}
    >
      {t.people.import}
    </Button>
  );
  return (
    <>
      <PageHead title={t.people.title} note={data && t.people.total(data.total)}>
        <Input
          className="filter-text"
          aria-label={t.people.search}
          allowClear
          prefix={<SearchOutlined />}
          placeholder={t.people.search}
          value={typed}
          onChange={(change) => setTyped(change.target.value)}
        />
        {importButton}
      </PageHead>
      {fault && <FaultNotice fault={fault} onRetry={reload} />}
      <div className="panel">
        <Table<CardholderView>
          rowKey="id"
          size="middle"
          loading={loading}
          columns={columnsOf(language, t)}
          dataSource={data?.items ?? []}
          scroll={{ x: 720 }}
          pagination={{
            current: page,
            pageSize: PAGE_SIZE,
            total: data?.total ?? 0,
            onChange: setPage,
            showSizeChanger: false,
            hideOnSinglePage: true,
            responsive: true,
          }}
          locale={{
            emptyText: data === undefined ? " " : (
              <Empty
                className="pad"
                image={Empty.PRESENTED_IMAGE_SIMPLE}
                description={search === ""
                  ? (
                    <>
                      <h2>{t.people.none}</h2>
                      <p>{t.people.noneHint}</p>
                    </>
                  )
                  : t.people.noMatch}
              />
            ),
          }}
        />
      </div>
      {importing && <ImportDialog onClose={() => setImporting(false)} onImported={reload} />}
    </>
  );
}

function columnsOf(language: Language, t: Messages): TableColumnsType<CardholderView> {
  return [
    { title: t.people.number, dataIndex: "number", width: 140, className: "mono" },
    {
      title: t.people.name,
      dataIndex: "name",
      render: (_, { name, active }) => (
        <span className={active ? "name" : "name off"}>
          {name} {!active && <Tag color="error">{t.people.inactive}</Tag>}
        </span>
      ),
    },
    {
      title: t.people.levels,
      dataIndex: "accessLevels",
      render: (_, { accessLevels }) => accessLevels.map((level) => <Tag key={level}>{level}</Tag>),
    },
    {
      title: t.people.cards,
      dataIndex: "cards",
      render: (_, { cards }) =>
        cards.length === 0
          ? <span className="hint">{t.people.noCards}</span>
          : cards.map((card) => (
            <div key={card.id} className={card.active ? "mono" : "mono off"}>
              {t.events.card(card.bits, card.hex)}
              {!card.active && ` · ${t.people.blocked}`}
            </div>
          )),
    },
    {
      title: t.people.validity,
      width: 190,
      render: (_, person) => validity(person, language, t),
    },
  ];
}

function validity(person: CardholderView, language: Language, t: Messages): ReactNode {
  const { validFromMs, validUntilMs } = person;
  if (validFromMs === undefined && validUntilMs === undefined) {
    return <span className="hint">{t.people.always}</span>;
  }
  return [
    ...validFromMs === undefined ? [] : [t.people.from(date(language, validFromMs))],
    ...validUntilMs === undefined ? [] : [t.people.until(date(language, validUntilMs))],
  ].join(" ");
}
