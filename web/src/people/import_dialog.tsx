import { DownloadOutlined, InboxOutlined } from "@ant-design/icons";
import { Alert, Button, Modal, Spin, Table, Upload } from "antd";
import { type ReactNode, useState } from "react";
import { type ApiFault, faultOf, type ImportReport } from "../api/mod.ts";
import { type Messages, useLanguage } from "../i18n/mod.ts";
import { useConsole } from "../live/mod.ts";
import { FaultNotice } from "../ui/mod.ts";
import { download, IMPORT_BYTES_MAX, templateColumns, templateCsv } from "./template.ts";

type Step =
  | { readonly at: "choose"; readonly tooLarge?: true }
  | { readonly at: "checking" }
  | { readonly at: "checked"; readonly file: File; readonly report: ImportReport }
  | { readonly at: "importing"; readonly file: File; readonly report: ImportReport }
  | { readonly at: "done"; readonly report: ImportReport }
  | { readonly at: "failed"; readonly fault: ApiFault };

/** A file, what it would change, and only then the change. */
export function ImportDialog(
  { onClose, onImported }: { readonly onClose: () => void; readonly onImported: () => void },
): ReactNode {
  const { t } = useLanguage();
  const { api } = useConsole();
  const [step, setStep] = useState<Step>({ at: "choose" });

  const check = async (file: File) => {
    if (file.size > IMPORT_BYTES_MAX) return setStep({ at: "choose", tooLarge: true });
    setStep({ at: "checking" });
    try {
      setStep({ at: "checked", file, report: await api.importCardholders(file, true) });
    } catch (error) {
      setStep({ at: "failed", fault: faultOf(error) });
    }
  };
  const carryOut = async (file: File, report: ImportReport) => {
    setStep({ at: "importing", file, report });
    try {
      const done = await api.importCardholders(file, false);
      // Between the dry run and now somebody may have changed an access level.
      if (done.faults.length > 0) return setStep({ at: "checked", file, report: done });
      setStep({ at: "done", report: done });
      onImported();
    } catch (error) {
      setStep({ at: "failed", fault: faultOf(error) });
    }
  };
  return (
    <Modal
      open
      width={720}
      title={t.importing.title}
      onCancel={onClose}
      mask={{ closable: false }}
      footer={<Footer step={step} t={t} onClose={onClose} onAgain={setStep} onConfirm={carryOut} />}
    >
      {step.at === "choose" && (
        <Choose
          tooLarge={step.tooLarge === true}
          onFile={(file) => void check(file)}
        />
      )}
      {step.at === "checking" && (
        <div className="import-wait">
          <Spin /> {t.importing.checking}
        </div>
      )}
      {(step.at === "checked" || step.at === "importing") && <Report report={step.report} t={t} />}
      {step.at === "done" && (
        <Alert
          type="success"
          showIcon
          title={t.importing.done(step.report.added, step.report.changed)}
          description={step.report.policyVersion !== undefined &&
            t.importing.version(step.report.policyVersion)}
        />
      )}
      {step.at === "failed" && <FaultNotice fault={step.fault} />}
    </Modal>
  );
}

function Choose(
  { tooLarge, onFile }: { readonly tooLarge: boolean; readonly onFile: (file: File) => void },
): ReactNode {
  const { language, t } = useLanguage();
  return (
    <>
      {tooLarge && (
        <Alert type="error" showIcon title={t.importing.tooLarge(IMPORT_BYTES_MAX >> 20)} />
      )}
      <Upload.Dragger
        accept=".csv,text/csv"
        maxCount={1}
        showUploadList={false}
        beforeUpload={(file) => {
          onFile(file);
          return false;
        }}
      >
        <p className="import-icon">
          <InboxOutlined />
        </p>
        <p className="import-choose">{t.importing.choose}</p>
        <p className="hint">{t.importing.chooseHint}</p>
      </Upload.Dragger>
      <div className="import-template">
        <span className="hint">
          {t.importing.columns}: <code>{templateColumns(language).join(", ")}</code>
        </span>
        <Button
          size="small"
          icon={<DownloadOutlined />}
          onClick={() => download(templateCsv(language), "cardholders.csv")}
        >
          {t.importing.template}
        </Button>
      </div>
    </>
  );
}

function Report({ report, t }: { readonly report: ImportReport; readonly t: Messages }): ReactNode {
  if (report.faults.length > 0) {
    return (
      <>
        <Alert type="error" showIcon title={t.importing.faults(report.faults.length)} />
        <Table
          className="faults"
          size="small"
          rowKey={(fault) => `${fault.line}/${fault.field}/${fault.message}`}
          dataSource={[...report.faults]}
          pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
          scroll={{ y: 320 }}
          columns={[
            { title: t.importing.line, dataIndex: "line", width: 70 },
            { title: t.importing.field, dataIndex: "field", width: 140 },
            { title: t.importing.message, dataIndex: "message" },
          ]}
        />
      </>
    );
  }
  const figures = [
    ["added", t.importing.added, report.added],
    ["changed", t.importing.changed, report.changed],
    ["unchanged", t.importing.unchanged, report.unchanged],
  ] as const;
  return (
    <>
      <dl className="figures">
        {figures.map(([key, label, count]) => (
          <div key={key} data-figure={key}>
            <dt>{label}</dt>
            <dd>{count}</dd>
          </div>
        ))}
      </dl>
      {changesOf(report) === 0 && <Alert type="info" showIcon title={t.importing.nothing} />}
    </>
  );
}

function changesOf({ added, changed }: ImportReport): number {
  return added + changed;
}

function Footer(
  { step, t, onClose, onAgain, onConfirm }: {
    readonly step: Step;
    readonly t: Messages;
    readonly onClose: () => void;
    readonly onAgain: (step: Step) => void;
    readonly onConfirm: (file: File, report: ImportReport) => Promise<void>;
  },
): ReactNode {
  const again = <Button onClick={() => onAgain({ at: "choose" })}>{t.importing.another}</Button>;
  switch (step.at) {
    case "choose":
    case "checking":
      return <Button onClick={onClose}>{t.cancel}</Button>;
    case "failed":
      return again;
    case "checked":
    case "importing": {
      const { file, report } = step;
      const ready = report.faults.length === 0 && changesOf(report) > 0;
      return (
        <>
          {again}
          {ready && (
            <Button
              type="primary"
              loading={step.at === "importing"}
              onClick={() => void onConfirm(file, report)}
            >
              {t.importing.importNow(changesOf(report))}
            </Button>
          )}
        </>
      );
    }
    case "done":
      return <Button type="primary" onClick={onClose}>{t.close}</Button>;
    default:
      return step satisfies never;
  }
}
