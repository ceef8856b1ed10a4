import { useCallback, useEffect, useRef, useState } from "react";
import { type ApiFault, EVENTS_PAGE, faultOf } from "../api/mod.ts";
import { useConsole, useLive } from "../live/mod.ts";
import {
  EMPTY_FEED,
  type Feed,
  type FeedFilter,
  fits,
  released,
  withEvent,
  withNewest,
  withOlder,
} from "./feed.ts";

/** A live list and what can be done with it. */
export interface LiveFeed {
  readonly feed: Feed;
  readonly fault: ApiFault | undefined;
  readonly loadingOlder: boolean;
  readonly loadOlder: () => void;
  readonly release: () => void;
  readonly retry: () => void;
}

/** The events that fit `filter`, live; while `held`, new ones wait. */
export function useFeed(filter: FeedFilter, held: boolean): LiveFeed {
  const { api, store } = useConsole();
  const syncCount = useLive((state) => state.syncCount);
  const [feed, setFeed] = useState<Feed>(EMPTY_FEED);
  const [fault, setFault] = useState<ApiFault>();
  const [loadingOlder, setLoadingOlder] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const heldNow = useRef(held);
  const { box, lane } = filter;

  useEffect(() => {
    heldNow.current = held;
    if (!held) setFeed(released);
  }, [held]);

  useEffect(() => {
    setFeed(EMPTY_FEED);
    return store.onEvent((event) => {
      if (fits(event, { box, lane })) {
        setFeed((now) => withEvent(now, event, heldNow.current));
      }
    });
  }, [store, box, lane]);

  useEffect(() => {
    const stop = new AbortController();
    api.events({ box, lane }, stop.signal).then(
      (page) => {
        setFault(undefined);
        setFeed((now) => withNewest(now, page, EVENTS_PAGE));
      },
      (error) => stop.signal.aborted || setFault(faultOf(error)),
    );
    return () => stop.abort();
  }, [api, box, lane, syncCount, attempt]);

  const oldestId = feed.items?.at(-1)?.id;
  const loadOlder = useCallback(() => {
    if (oldestId === undefined) return;
    setLoadingOlder(true);
    api.events({ box, lane, beforeId: oldestId }).then(
      (page) => setFeed((now) => withOlder(now, page, EVENTS_PAGE)),
      (error) => setFault(faultOf(error)),
    ).finally(() => setLoadingOlder(false));
  }, [api, box, lane, oldestId]);
  const release = useCallback(() => setFeed(released), []);
  const retry = useCallback(() => setAttempt((n) => n + 1), []);
  return { feed, fault, loadingOlder, loadOlder, release, retry };
}
