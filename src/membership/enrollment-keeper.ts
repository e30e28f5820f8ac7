/**
 * Makes this node a member and keeps it one: enrolls with the ticket where there is no record yet, renews the
 * credential in the background, and never gives up.
 */
import type { Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import { parseTicket, type Ticket } from "../identity/ticket.ts";
import type { CredentialSource, Grant } from "./authority-client.ts";
import type { Enrollment } from "./enrollment.ts";
import { recordOf, sameAuthority } from "./enrollment-change.ts";
import { type EnrollmentState, type EnrollmentStatus, notEnrolled } from "./enrollment-status.ts";
import { HeldEnrollment, type HeldEnrollmentOptions } from "./held-enrollment.ts";
import {
  AFTER_REFUSAL,
  AFTER_SILENCE,
  isForPeople,
  renewalAfterGrantMs,
  renewalAfterStartMs,
  retryWaitMs,
} from "./renewal-schedule.ts";

export interface EnrollmentKeeperOptions extends HeldEnrollmentOptions {
  readonly source: CredentialSource;
  /** Of the config or the command line; needed while there is no record. */
  readonly ticket?: Secret | undefined;
  readonly log: Log;
  /** For jitter; `Math.random` unless a test says otherwise. */
  readonly random?: Random;
}

/** While this node is no member: `culvert enroll` may be run beside it. */
const LOOK_MS = 2_000;

export class EnrollmentKeeper {
  readonly #options: EnrollmentKeeperOptions;
  readonly #random: Random;
  readonly #held: HeldEnrollment;
  #state: EnrollmentState = "none";
  #ticket: Ticket | undefined;
  /** Monotonic; when the authority is asked next. */
  #nextTryAtMs = Number.NEGATIVE_INFINITY;
  #grantedAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #attempts = 0;
  #lastFault: Fault | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turning = false;
  #phase: "idle" | "running" | "stopped" = "idle";

  constructor(options: EnrollmentKeeperOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#held = new HeldEnrollment(options);
  }

  /**
   * Reads the record; all else goes on in the background.
   * @throws Fault `state.unusable` for a record that cannot be used: nothing is enrolled over it.
   */
  async start(): Promise<void> {
    if (this.#phase !== "idle") return;
    this.#phase = "running";
    this.#readTicket();
    if (!(await this.#look()) && !this.#ticket && !this.#lastFault)
      this.#options.log.warn("enrollment.missing", { fault: notEnrolled() });
    this.#plan();
  }

  stop(): void {
    this.#phase = "stopped";
    clearTimeout(this.#timer);
  }

  /** For the hello. */
  credential(): string | undefined {
    return this.#held.record?.credential;
  }

  /** `tcp://…`; none while this node is no member. */
  outletAddresses(): readonly string[] {
    return this.#held.record?.outletAddresses ?? [];
  }

  /** As `outletAddresses`. */
  authorityAddresses(): readonly string[] {
    return this.#held.record?.authorityAddresses ?? [];
  }

  /** Called when the credential or the addresses are new. @returns how to end it. */
  onChange(listener: () => void): () => void {
    return this.#held.onChange(listener);
  }

  /** An outlet has refused our credential: perhaps it is over, whatever our clock says. */
  noteRefused(): void {
    this.#askBefore(AFTER_REFUSAL);
  }

  /** No outlet can be reached: perhaps it has moved, and the authority, where that is elsewhere, knows. */
  noteUnreachable(): void {
    if (this.#held.authorityIsElsewhere) this.#askBefore(AFTER_SILENCE);
  }

  /**
   * For a person who waits, in place of `start`: tries until it works, but not for more than so many
   * milliseconds. Run again with the same ticket it changes nothing.
   * @throws Fault at once for what a person has to put right, else the last one.
   */
  async enrollNow(patienceMs = 60_000): Promise<Enrollment> {
    const { ticket: secret, provider } = this.#options;
    if (!secret) throw notEnrolled();
    const ticket = parseTicket(secret.reveal(), provider);
    await this.#look();
    const { record } = this.#held;
    if (record && !sameAuthority(record, ticket)) {
      throw new Fault(
        "ticket.foreign",
        `this node is a member already, and of another authority than the ticket's ${ticket.authority}; use another state_dir`,
      );
    }
    if (record?.ticketId === ticket.ticketId) return record;
    const deadlineMs = this.#nowMs() + patienceMs;
    for (;;) {
      try {
        return await this.#enroll(ticket);
      } catch (thrown) {
        const fault = this.#failed(thrown);
        if (isForPeople(fault) || this.#nextTryAtMs >= deadlineMs) throw fault;
        const waitMs = this.#nextTryAtMs - this.#nowMs();
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  status(): EnrollmentStatus {
    const fault = this.#lastFault ?? (this.#state === "none" ? notEnrolled() : undefined);
    const untilNextMs = Math.max(0, Math.round(this.#nextTryAtMs - this.#nowMs()));
    return {
      state: this.#state,
      ...(this.#ticket && { authority: this.#ticket.authority, service: this.#ticket.service }),
      ...this.#held.status(),
      ...(this.#held.record && { renewInMs: untilNextMs }),
      ...(fault && { lastFault: { code: fault.code, message: fault.message } }),
      attempts: this.#attempts,
      ...(this.#failures > 0 && { nextTryMs: untilNextMs }),
    };
  }

  // ---- turns -------------------------------------------------------------------------------------

  /** A member needs no ticket: one that cannot be read stops nothing. */
  #readTicket(): void {
    const { ticket, provider, log } = this.#options;
    try {
      this.#ticket = ticket && parseTicket(ticket.reveal(), provider);
      if (this.#ticket) this.#state = "enrolling";
    } catch (thrown) {
      this.#lastFault = Fault.from(thrown);
      this.#state = "refused";
      log.warn("enrollment.ticket-unusable", { fault: this.#lastFault });
    }
  }

  /** Sooner than planned, but for what is failing already. */
  #askBefore({ gapMs, spreadMs }: typeof AFTER_REFUSAL): void {
    const soonMs = Math.max(this.#nowMs(), this.#grantedAtMs + gapMs) + this.#random() * spreadMs;
    if (!this.#held.record || this.#failures > 0 || this.#nextTryAtMs <= soonMs) return;
    this.#nextTryAtMs = soonMs;
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#phase !== "running" || this.#turning) return;
    const canAsk = this.#held.record !== undefined || this.#ticket !== undefined;
    const waitMs = canAsk ? Math.max(0, this.#nextTryAtMs - this.#nowMs()) : LOOK_MS;
    const turnMs = this.#state === "member" ? waitMs : Math.min(waitMs, LOOK_MS);
    this.#timer = setTimeout(() => void this.#turn(), turnMs);
  }

  async #turn(): Promise<void> {
    this.#turning = true;
    try {
      const fit = await this.#lookAgain();
      if (fit && this.#phase === "running" && this.#nowMs() >= this.#nextTryAtMs) await this.#ask();
    } catch (thrown) {
      this.#failed(thrown);
    } finally {
      this.#turning = false;
      this.#plan();
    }
  }

  /** @returns false while there is a record that cannot be used: nothing is enrolled over it. */
  async #lookAgain(): Promise<boolean> {
    try {
      await this.#look();
      return true;
    } catch (thrown) {
      const fault = Fault.from(thrown);
      if (this.#held.record) return true;
      if (fault.code !== this.#lastFault?.code) this.#options.log.warn("enrollment.unreadable", { fault });
      this.#lastFault = fault;
      this.#nextTryAtMs = this.#nowMs() + LOOK_MS;
      return false;
    }
  }

  /** @returns whether there was a record that is new to us. */
  async #look(): Promise<boolean> {
    const { clock, log } = this.#options;
    if (!(await this.#held.look())) return false;
    const { record, credential } = this.#held;
    this.#succeeded(renewalAfterStartMs({ ...record!, credential: credential! }, clock, this.#random));
    if (this.#ticket && !sameAuthority(record!, this.#ticket)) {
      log.warn("enrollment.ticket-ignored", {
        why: "this node is a member of another authority than the ticket's; to change over, use another state_dir",
        authority: credential!.authority,
        ticket_authority: this.#ticket.authority,
      });
    }
    return true;
  }

  async #ask(): Promise<void> {
    const { record } = this.#held;
    const ticket = this.#ticket;
    if (!record) {
      if (ticket) await this.#enroll(ticket);
      return;
    }
    try {
      await this.#renew(record);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      const fresh = ticket && ticket.ticketId !== record.ticketId && sameAuthority(record, ticket);
      // As after the authority was restored from a backup: the operator has made a new ticket for us.
      if (fault.code !== "member.unknown" || !fresh) throw fault;
      await this.#enroll(ticket);
    }
  }

  async #enroll(ticket: Ticket): Promise<Enrollment> {
    this.#attempts++;
    const grant = await this.#options.source.enroll(ticket);
    const record = recordOf(grant, ticket);
    await this.#take(grant, record);
    return record;
  }

  async #renew(record: Enrollment): Promise<void> {
    this.#attempts++;
    const { authorityKey, authorityAddresses: addresses, credential } = record;
    const grant = await this.#options.source.renew({ authorityKey, addresses, credential });
    await this.#take(grant, recordOf(grant, record));
  }

  async #take(grant: Grant, record: Enrollment): Promise<void> {
    const event = this.#held.record ? "credential.renewed" : "enrollment.done";
    await this.#held.take(grant, record);
    this.#grantedAtMs = this.#nowMs();
    this.#succeeded(renewalAfterGrantMs(grant, this.#random, this.#held.grantsWithoutOutlet));
    this.#options.log.info(event, {
      authority: grant.credential.authority,
      expires_in_ms: grant.expiresInMs,
      clock_skew_ms: Math.round(grant.clockSkewMs),
    });
  }

  #succeeded(renewInMs: number): void {
    this.#state = "member";
    this.#failures = 0;
    this.#lastFault = undefined;
    this.#nextTryAtMs = this.#nowMs() + renewInMs;
    this.#held.announce();
  }

  #failed(thrown: unknown): Fault {
    const fault = Fault.from(thrown);
    this.#failures++;
    const waitMs = retryWaitMs(fault, this.#failures, this.#random);
    this.#nextTryAtMs = this.#nowMs() + waitMs;
    // A full disk is an operator's matter too, but nobody has refused us.
    if (fault.blame === "operator" && fault.code !== "state.unusable") this.#state = "refused";
    const level = fault.code === this.#lastFault?.code ? "info" : "warn";
    this.#options.log[level]("enrollment.retry", {
      fault,
      attempt: this.#failures,
      wait_ms: Math.round(waitMs),
    });
    this.#lastFault = fault;
    return fault;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
