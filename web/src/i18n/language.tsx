import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { en, type Messages } from "./en.ts";
import { zhCn } from "./zh_cn.ts";

/** A language of the console. */
export type Language = "en" | "zh-CN";

/** Every language, in the order of the switch. */
export const LANGUAGES: readonly Language[] = ["zh-CN", "en"];

/** What each language says. */
export const MESSAGES: Readonly<Record<Language, Messages>> = { en, "zh-CN": zhCn };

interface LanguageChoice {
  readonly language: Language;
  readonly t: Messages;
  readonly choose: (language: Language) => void;
}

const STORAGE_KEY = "gatehouse.language";
const LanguageContext = createContext<LanguageChoice>({ language: "en", t: en, choose: () => {} });

/** The language of a browser that was never told: Chinese for any `zh`, else English. */
export function languageOf(preferred: readonly string[]): Language {
  const first = preferred.find((tag) => /^(zh|en)\b/i.test(tag));
  return first !== undefined && /^zh/i.test(first) ? "zh-CN" : "en";
}

function remembered(): Language | undefined {
  try {
    const value = localStorage.getItem(STORAGE_KEY);
    return LANGUAGES.find((language) => language === value);
  } catch {
    return undefined; // Storage is forbidden: then it is asked again next time.
  }
}

/** Gives everything inside its language. */
export function LanguageProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [language, setLanguage] = useState<Language>(() =>
    remembered() ?? languageOf(navigator.languages)
  );
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const choice = useMemo<LanguageChoice>(() => ({
    language,
    t: MESSAGES[language],
    choose: (next) => {
      setLanguage(next);
      try {
        localStorage.setItem(STORAGE_KEY, next);
      } catch {
        // Then the choice lasts as long as the page.
      }
    },
  }), [language]);
  return <LanguageContext value={choice}>{children}</LanguageContext>;
}

/** The language in use. */
export function useLanguage(): LanguageChoice {
  return useContext(LanguageContext);
}

/** What the language in use says. */
export function useMessages(): Messages {
  return useContext(LanguageContext).t;
}
