import { App, Checkbox, Form, Input, InputNumber, Modal, Select } from "antd";
import { type ReactNode, useEffect, useState } from "react";
import { type ApiFault, faultOf, type PublishedView } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { useConsole } from "../live/mod.ts";
import { FaultNotice } from "../ui/mod.ts";
import { aimOf, parseDates, parseLabels } from "./aim.ts";
import { groupsOf, parseStages } from "./stages.ts";

interface Fields {
  readonly name: string;
  readonly path: string;
  readonly stages: string;
  readonly successPercent: number;
  readonly errorPercent: number;
  readonly labels?: string;
  readonly from?: string;
  readonly to?: string;
  readonly notOn?: string;
  readonly standing?: boolean;
  readonly silentAfterHours?: number | null;
}

/** The place's own time: whoever makes a rollout is where its boxes are. */
const TIMEZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const FIRST: Partial<Fields> = { stages: "1, 10, 50, 100", successPercent: 95, errorPercent: 5 };

/** Makes a rollout of a published release, and submits it to another operator. */
export function NewRollout(
  { onClose, onMade }: { readonly onClose: () => void; readonly onMade: (id: number) => void },
): ReactNode {
  const t = useMessages();
  const { api } = useConsole();
  const { message } = App.useApp();
  const [form] = Form.useForm<Fields>();
  const [published, setPublished] = useState<readonly PublishedView[]>();
  const [fault, setFault] = useState<ApiFault>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    api.published().then(setPublished, (error) => setFault(faultOf(error)));
  }, [api]);
  const make = async (
    {
      name,
      path,
      stages,
      successPercent,
      errorPercent,
      standing = false,
      silentAfterHours,
      ...aim
    }: Fields,
  ) => {
    setBusy(true);
    setFault(undefined);
    try {
      const known = await api.releases();
      if (!known.some((release) => release.path === path)) await api.addRelease(path);
      const limits = { successPercent, errorPercent };
      const groups = groupsOf(parseStages(stages)!, limits, t.updates.stage);
      const request = {
        ...{ name: name.trim(), release: path, groups, ...aimOf(aim, TIMEZONE) },
        ...standing ? { standing } : {},
        ...typeof silentAfterHours === "number" ? { silentAfterHours } : {},
      };
      const { id } = await api.addRollout(request);
      await api.actOnRollout(id, "submit");
      void message.success(t.updates.created);
      onMade(id);
    } catch (error) {
      setFault(faultOf(error));
    } finally {
      setBusy(false);
    }
  };
  const percent = <InputNumber min={1} max={100} precision={0} suffix="%" />;
  return (
    <Modal
      open
      title={t.updates.add}
      okText={t.updates.create}
      cancelText={t.cancel}
      confirmLoading={busy}
      onCancel={onClose}
      onOk={() => form.submit()}
      width={560}
    >
      {fault && <FaultNotice fault={fault} />}
      <Form<Fields>
        form={form}
        layout="vertical"
        initialValues={FIRST}
        onFinish={(f) => void make(f)}
      >
        <Form.Item
          name="name"
          label={t.updates.name}
          rules={[{ required: true, whitespace: true, message: t.updates.nameHint }]}
        >
          <Input placeholder={t.updates.nameHint} maxLength={80} />
        </Form.Item>
        <Form.Item
          name="path"
          label={t.updates.release}
          rules={[{ required: true, message: t.updates.releaseHint }]}
        >
          <Select
            loading={published === undefined && fault === undefined}
            placeholder={t.updates.releaseHint}
            notFoundContent={t.updates.noRelease}
            options={published?.map(({ path, kind, version }) => ({
              value: path,
              label: `${kind} ${version} · ${path}`,
            })) ?? []}
          />
        </Form.Item>
        <Form.Item
          name="stages"
          label={t.updates.stages}
          rules={[{
            validator: (_, text: string) =>
              parseStages(text) === undefined
                ? Promise.reject(new Error(t.updates.stagesWrong))
                : Promise.resolve(),
          }]}
        >
          <Input />
        </Form.Item>
        <div className="rollout-limits">
          <Form.Item name="successPercent" label={t.updates.success} rules={[{ required: true }]}>
            {percent}
          </Form.Item>
          <Form.Item name="errorPercent" label={t.updates.error} rules={[{ required: true }]}>
            {percent}
          </Form.Item>
        </div>
        <Form.Item
          name="labels"
          label={t.updates.labels}
          extra={t.updates.labelsHint}
          rules={[{
            validator: (_, text = "") =>
              parseLabels(text) === undefined
                ? Promise.reject(new Error(t.updates.labelsHint))
                : Promise.resolve(),
          }]}
        >
          <Input maxLength={500} />
        </Form.Item>
        <Form.Item name="silentAfterHours" label={t.updates.silentAfter}>
          <InputNumber min={1} max={8_760} precision={0} suffix="h" />
        </Form.Item>
        <Form.Item name="standing" valuePropName="checked">
          <Checkbox>{t.updates.standing}</Checkbox>
        </Form.Item>
        <div className="rollout-limits">
          <Form.Item name="from" label={t.updates.windowFrom} extra={TIMEZONE}>
            <Input type="time" />
          </Form.Item>
          <Form.Item
            name="to"
            label={t.updates.windowTo}
            dependencies={["from"]}
            rules={[{
              validator: (_, to = "") =>
                (to === "") !== ((form.getFieldValue("from") ?? "") === "")
                  ? Promise.reject(new Error(t.updates.windowHalf))
                  : Promise.resolve(),
            }]}
          >
            <Input type="time" />
          </Form.Item>
        </div>
        <Form.Item
          name="notOn"
          label={t.updates.notOn}
          dependencies={["from"]}
          rules={[{
            validator: (_, text = "") =>
              parseDates(text) === undefined ||
                text.trim() !== "" && (form.getFieldValue("from") ?? "") === ""
                ? Promise.reject(new Error(t.updates.notOnHint))
                : Promise.resolve(),
          }]}
        >
          <Input placeholder="2027-06-07, 2027-06-08" maxLength={500} />
        </Form.Item>
      </Form>
    </Modal>
  );
}
