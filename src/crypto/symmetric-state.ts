/**
 * SymmetricState (Noise rev. 34 §5.2): the chaining key and the hash of all that was said so far, on
 * which every later key depends.
 */
import { CipherState } from "./cipher-state.ts";
import { type CipherSuite, type CryptoProvider, HASH_BYTES } from "./provider.ts";

export class SymmetricState {
  readonly #provider: CryptoProvider;
  readonly #suite: CipherSuite;
  readonly #cipher: CipherState;
  #chainingKey: Uint8Array;
  #hash: Uint8Array;

  /** InitializeSymmetric(protocol_name): a name of up to 32 bytes stands for itself, a longer one is hashed. */
  constructor(provider: CryptoProvider, suite: CipherSuite, protocolName: string) {
    this.#provider = provider;
    this.#suite = suite;
    this.#cipher = new CipherState(provider, suite);
    const name = new TextEncoder().encode(protocolName);
    if (name.length > HASH_BYTES) this.#hash = provider.sha256(name);
    else {
      this.#hash = new Uint8Array(HASH_BYTES);
      this.#hash.set(name);
    }
    this.#chainingKey = this.#hash;
  }

  get hasKey(): boolean {
    return this.#cipher.hasKey;
  }

  /** GetHandshakeHash(): a name for this session that both ends and nobody else agree on (§11.2). */
  get handshakeHash(): Uint8Array {
    return new Uint8Array(this.#hash);
  }

  mixKey(inputKeyMaterial: Uint8Array): void {
    const [chainingKey, key] = this.#deriveTwo(inputKeyMaterial);
    this.#chainingKey = chainingKey;
    this.#cipher.initializeKey(key);
  }

  mixHash(data: Uint8Array): void {
    this.#hash = this.#provider.sha256(this.#hash, data);
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#cipher.encryptWithAd(this.#hash, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** @throws Fault `channel.tampered`. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#cipher.decryptWithAd(this.#hash, ciphertext);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /** Split(): the first for messages from initiator to responder, the second for the way back. */
  split(): [CipherState, CipherState] {
    const [first, second] = this.#deriveTwo(new Uint8Array(0));
    return [this.#transport(first), this.#transport(second)];
  }

  #transport(key: Uint8Array): CipherState {
    const cipher = new CipherState(this.#provider, this.#suite);
    cipher.initializeKey(key);
    return cipher;
  }

  /** HKDF(chaining_key, input_key_material, 2) (§4.3). */
  #deriveTwo(inputKeyMaterial: Uint8Array): [Uint8Array, Uint8Array] {
    const { hmacSha256 } = this.#provider;
    const temporaryKey = hmacSha256(this.#chainingKey, inputKeyMaterial);
    const first = hmacSha256(temporaryKey, Uint8Array.of(1));
    return [first, hmacSha256(temporaryKey, first, Uint8Array.of(2))];
  }
}
