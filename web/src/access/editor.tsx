import { Form, type FormInstance, Input, Modal } from "antd";
import { type ReactNode, useState } from "react";
import { useMessages } from "../i18n/mod.ts";
import { ID_PATTERN } from "./hours.ts";

/** A dialog with a form for one entry; id and name are the same for all. */
export function Editor<T extends object>(
  { title, form, initial, isNew, taken, onSave, onClose, children }: {
    readonly title: string;
    readonly form: FormInstance<T>;
    readonly initial: Partial<T>;
    readonly isNew: boolean;
    readonly taken: ReadonlySet<string>;
    readonly onSave: (values: T) => Promise<void>;
    readonly onClose: () => void;
    readonly children: ReactNode;
  },
): ReactNode {
  const t = useMessages();
  const [saving, setSaving] = useState(false);
  const finish = async (values: T) => {
    setSaving(true);
    await onSave(values);
    setSaving(false);
  };
  return (
    <Modal
      open
      width={640}
      title={title}
      okText={t.save}
      confirmLoading={saving}
      onOk={() => form.submit()}
      onCancel={onClose}
      mask={{ closable: false }}
    >
      <Form<T>
        form={form}
        layout="vertical"
        initialValues={initial}
        requiredMark={false}
        onFinish={(values) => void finish(values)}
      >
        <div className="pair">
          <Form.Item
            name="name"
            label={t.access.name}
            rules={[{ required: true, whitespace: true, max: 128, message: t.access.nameMissing }]}
          >
            <Input autoFocus />
          </Form.Item>
          <Form.Item
            name="id"
            label={t.access.id}
            tooltip={t.access.idHint}
            rules={[
              { required: true, pattern: ID_PATTERN, message: t.access.idFault },
              {
                validator: (_, id) =>
                  isNew && taken.has(String(id))
                    ? Promise.reject(new Error(t.access.idTaken))
                    : Promise.resolve(),
              },
            ]}
          >
            <Input disabled={!isNew} className="mono" />
          </Form.Item>
        </div>
        {children}
      </Form>
    </Modal>
  );
}
