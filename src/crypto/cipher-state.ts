/**
 * CipherState (Noise rev. 34 §5.1): one key and the counter of what it has sealed or opened. In a
 * handshake it lives inside a SymmetricState; afterwards there is one for each direction.
 */
import { Fault } from "../base/fault.ts";
import { Misuse } from "./misuse.ts";
import { type Aead, type CipherSuite, type CryptoProvider, TAG_BYTES } from "./provider.ts";

/** Noise rev. 34 §3: no message is longer, tag included. */
export const MAX_MESSAGE_BYTES = 65535;
export const MAX_PLAINTEXT_BYTES = MAX_MESSAGE_BYTES - TAG_BYTES;

const EMPTY = new Uint8Array(0);

export class CipherState {
  readonly #provider: CryptoProvider;
  readonly #suite: CipherSuite;
  #aead: Aead | undefined;
  #nonce = 0;
  #failure: Fault | undefined;

  constructor(provider: CryptoProvider, suite: CipherSuite) {
    this.#provider = provider;
    this.#suite = suite;
  }

  get hasKey(): boolean {
    return this.#aead !== undefined;
  }

  /** The counter of the next message. */
  get nonce(): number {
    return this.#nonce;
  }

  /** InitializeKey(k): 32 bytes, copied. The counter starts at 0. */
  initializeKey(key: Uint8Array): void {
    this.#aead = this.#provider.aead(this.#suite, key);
    this.#nonce = 0;
  }

  /** SetNonce(n). */
  setNonce(nonce: number): void {
    this.#nonce = nonce;
  }

  /**
   * EncryptWithAd(ad, plaintext). Without a key it gives the plaintext, as Noise says.
   * @throws Fault `crypto.nonce-exhausted` when the key has done its work; Misuse `message-too-long`.
   */
  encryptWithAd(associatedData: Uint8Array, plaintext: Uint8Array): Uint8Array {
    if (this.#aead === undefined) return plaintext;
    const out = new Uint8Array(plaintext.length + TAG_BYTES);
    this.#seal(this.#aead, associatedData, plaintext, out, 0);
    return out;
  }

  /**
   * DecryptWithAd(ad, ciphertext). Without a key it gives the ciphertext, as Noise says.
   * @throws Fault `channel.tampered`; every later call throws it too.
   */
  decryptWithAd(associatedData: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    return this.#aead === undefined ? ciphertext : this.#open(this.#aead, associatedData, ciphertext);
  }

  /**
   * Seals one transport message (no associated data) into `out` at `offset`.
   * @param plaintext 0..65519 bytes; may lie in `out` itself.
   * @returns bytes written: `plaintext.length + 16`.
   * @throws Fault `crypto.nonce-exhausted`; Misuse `message-too-long`, `no-room`, `no-key`. Then nothing
   *   was written and the counter stands.
   */
  sealInto(plaintext: Uint8Array, out: Uint8Array, offset: number): number {
    this.#seal(this.#keyed(), EMPTY, plaintext, out, offset);
    return plaintext.length + TAG_BYTES;
  }

  /**
   * Opens one transport message.
   * @param sealed ciphertext and 16-byte tag, 16..65535 bytes; not kept.
   * @returns plaintext, `sealed.length - 16` bytes, owned by the caller.
   * @throws Fault `channel.tampered`; every later call throws it too.
   */
  open(sealed: Uint8Array): Uint8Array {
    return this.#open(this.#keyed(), EMPTY, sealed);
  }

  /** Rekey() (§11.3): a new key from the old, which is forgotten. The counter goes on. */
  rekey(): void {
    this.#aead = this.#provider.aead(this.#suite, this.#keyed().nextKey());
  }

  #seal(aead: Aead, associatedData: Uint8Array, plaintext: Uint8Array, out: Uint8Array, offset: number) {
    if (plaintext.length > MAX_PLAINTEXT_BYTES) throw new Misuse("message-too-long");
    if (out.length - offset < plaintext.length + TAG_BYTES) throw new Misuse("no-room");
    aead.sealInto(this.#nonce, associatedData, plaintext, out, offset);
    this.#nonce++;
  }

  #open(aead: Aead, associatedData: Uint8Array, sealed: Uint8Array): Uint8Array {
    if (this.#failure) throw this.#failure;
    try {
      if (sealed.length > MAX_MESSAGE_BYTES || sealed.length < TAG_BYTES) {
        throw new Fault("channel.tampered", `no sealed message has ${sealed.length} bytes`);
      }
      const plaintext = aead.open(this.#nonce, associatedData, sealed);
      this.#nonce++;
      return plaintext;
    } catch (thrown) {
      this.#failure = Fault.from(thrown);
      throw this.#failure;
    }
  }

  #keyed(): Aead {
    if (this.#aead === undefined) throw new Misuse("no-key");
    return this.#aead;
  }
}
