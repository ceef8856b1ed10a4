/// <reference lib="deno.unstable" />
/**
 * Gatehouse's own lint rules. A lint plugin is the one place where Deno demands a default export.
 *
 * @module
 */
import { importFault, isTest, layerOf } from "./layers.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** The browser has no `hal`: its one file that reads the browser's clock and sets timers. */
const BROWSER_CLOCK = "web/src/clock.ts";
const TIMERS = new Set(["setTimeout", "setInterval", "setImmediate"]);
const GLOBALS = new Set(["globalThis", "window", "self"]);

function pathInTree(filename: string): string {
  const path = filename.startsWith("file:") ? new URL(filename).pathname : filename;
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
}

/** Where a relative specifier leads, from the root; `undefined` for packages and built-in modules. */
function target(from: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

function text(node: Deno.lint.Expression | null | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node.value === "string") return node.value;
  if (node?.type === "TemplateLiteral" && node.expressions.length === 0) {
    return node.quasis[0]?.cooked;
  }
  return undefined;
}

/** `a.b` or `a["b"]` of a plain name `a`; looks through `globalThis.`. */
function member(node: Deno.lint.Node): { object: string; property: string } | undefined {
  if (node.type !== "MemberExpression") return undefined;
  const property = node.property.type === "Identifier" && !node.computed
    ? node.property.name
    : text(node.property as Deno.lint.Expression);
  if (property === undefined) return undefined;
  if (node.object.type === "Identifier") return { object: node.object.name, property };
  const inner = member(node.object);
  return inner !== undefined && GLOBALS.has(inner.object)
    ? { object: inner.property, property }
    : undefined;
}

const layers: Deno.lint.Rule = {
  create(context) {
    const from = pathInTree(context.filename);
    const check = (node: Deno.lint.Node, specifier: string | undefined, typeOnly: boolean) => {
      const to = specifier === undefined ? undefined : target(from, specifier);
      const fault = to === undefined ? undefined : importFault(from, to, typeOnly);
      if (fault !== undefined) {
        context.report({
          node,
          message: fault,
          hint: "See the layer table in docs/architecture.md: pass it in as an argument instead.",
        });
      }
    };
    return {
      ImportDeclaration(node) {
        const named = node.specifiers;
        const allTypes = named.length > 0 &&
          named.every((one) => one.type === "ImportSpecifier" && one.importKind === "type");
        check(node, text(node.source), node.importKind === "type" || allTypes);
      },
      ExportNamedDeclaration(node) {
        if (node.source) check(node, text(node.source), node.exportKind === "type");
      },
      ExportAllDeclaration(node) {
        check(node, text(node.source), node.exportKind === "type");
      },
      ImportExpression(node) {
        check(node, text(node.source), false);
      },
      TSImportType(node) {
        const argument = node.argument as unknown as Deno.lint.Expression & {
          literal?: Deno.lint.Expression;
        };
        check(node, text(argument.literal ?? argument), true);
      },
      // A worker is an import in all but name.
      NewExpression(node) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "URL") return;
        const specifier = text(node.arguments[0] as Deno.lint.Expression);
        if (specifier !== undefined && /\.tsx?$/.test(specifier)) check(node, specifier, false);
      },
      CallExpression(node) {
        const source = context.sourceCode.getText(node.callee);
        if (source === "import.meta.resolve") {
          check(node, text(node.arguments[0] as Deno.lint.Expression), false);
        }
      },
    };
  },
};

const clockOnlyInHal: Deno.lint.Rule = {
  create(context) {
    const path = pathInTree(context.filename);
    const layer = layerOf(path).name;
    if (/^(hal|tests$)/.test(layer) || isTest(path) || path === BROWSER_CLOCK) return {};
    const report = (node: Deno.lint.Node, what: string) =>
      context.report({
        node,
        message: `${what} reads the time or waits outside hal/`,
        hint: "Take a Clock as a constructor argument, so that tests can step it.",
      });
    const checkMember = (node: Deno.lint.Node) => {
      const found = member(node);
      if (found === undefined) return;
      const { object, property } = found;
      const isClock = (object === "Date" && property === "now") ||
        (object === "performance" && property === "now") ||
        (object === "Temporal" && property === "Now") ||
        (object === "AbortSignal" && property === "timeout") ||
        (GLOBALS.has(object) && TIMERS.has(property));
      if (isClock) report(node, `${object}.${property}`);
    };
    return {
      MemberExpression: checkMember,
      CallExpression(node) {
        if (node.callee.type !== "Identifier") return;
        if (TIMERS.has(node.callee.name)) report(node, node.callee.name);
        if (node.callee.name === "Date") report(node, "Date()");
      },
      NewExpression(node) {
        const isDate = node.callee.type === "Identifier" && node.callee.name === "Date";
        if (isDate && node.arguments.length === 0) report(node, "new Date()");
      },
      ImportDeclaration(node) {
        if (/^(node:)?timers(\/promises)?$/.test(text(node.source) ?? "")) {
          report(node, "node:timers");
        }
      },
    };
  },
};

const osOnlyInHal: Deno.lint.Rule = {
  create(context) {
    const path = pathInTree(context.filename);
    if (/^(hal\/linux|hal\/sim|tests)$/.test(layerOf(path).name)) return {};
    return {
      MemberExpression(node) {
        const found = member(node);
        if (found?.object === "Deno" && /^(dlopen|Unsafe)/.test(found.property)) {
          context.report({
            node,
            message: `Deno.${found.property} outside hal/linux and hal/sim`,
            hint: "Put the system call behind a contract of hal/ and pass that in.",
          });
        }
      },
    };
  },
};

const noDefaultExport: Deno.lint.Rule = {
  create(context) {
    const path = pathInTree(context.filename);
    // Tools that load a file by its default export and know no other way.
    if (path === "tools/lint/plugin.ts" || /(^|\/)vite\.config\.ts$/.test(path)) return {};
    const report = (node: Deno.lint.Node) =>
      context.report({
        node,
        message: "A default export has no name of its own",
        hint: "Export it by name.",
      });
    return {
      ExportDefaultDeclaration: report,
      ExportSpecifier(node) {
        if (node.exported.type === "Identifier" && node.exported.name === "default") report(node);
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "gatehouse",
  rules: {
    "layers": layers,
    "clock-only-in-hal": clockOnlyInHal,
    "os-only-in-hal": osOnlyInHal,
    "no-default-export": noDefaultExport,
  },
};

export default plugin;
