// Prints a transcript of Noise XX sessions made by github.com/flynn/noise, an implementation that shares
// no code with ours: handshake, then transport messages of awkward sizes in both directions with rekeys
// between them. Everything is fixed, so a second run prints the same.
//
//	go run . > ../flynn-noise.json
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log"
	"os"

	"github.com/flynn/noise"
)

type message struct {
	FromInitiator bool   `json:"fromInitiator"`
	Rekeys        int    `json:"rekeysBefore"`
	PlaintextSize int    `json:"plaintextBytes"`
	Sealed        string `json:"sealed,omitempty"`
	SealedSHA256  string `json:"sealedSha256"`
}

type session struct {
	Suite              string    `json:"suite"`
	Prologue           string    `json:"prologue"`
	InitiatorStatic    string    `json:"initiatorStatic"`
	InitiatorEphemeral string    `json:"initiatorEphemeral"`
	ResponderStatic    string    `json:"responderStatic"`
	ResponderEphemeral string    `json:"responderEphemeral"`
	Payloads           []string  `json:"payloads"`
	Handshake          []string  `json:"handshake"`
	HandshakeHash      string    `json:"handshakeHash"`
	Transport          []message `json:"transport"`
}

func main() {
	suites := map[string]noise.CipherFunc{"AESGCM": noise.CipherAESGCM, "ChaChaPoly": noise.CipherChaChaPoly}
	var sessions []session
	for _, name := range []string{"AESGCM", "ChaChaPoly"} {
		sessions = append(sessions, run(name, noise.NewCipherSuite(noise.DH25519, suites[name], noise.HashSHA256)))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	check(out.Encode(map[string]any{"sessions": sessions}))
}

func run(name string, suite noise.CipherSuite) session {
	prologue := []byte("culvert flynn transcript")
	initiatorStatic, initiatorEphemeral := seed(1), seed(2)
	responderStatic, responderEphemeral := seed(3), seed(4)
	initiator := state(suite, true, prologue, initiatorStatic, initiatorEphemeral)
	responder := state(suite, false, prologue, responderStatic, responderEphemeral)

	s := session{
		Suite: name, Prologue: hex.EncodeToString(prologue),
		InitiatorStatic: hex.EncodeToString(initiatorStatic), InitiatorEphemeral: hex.EncodeToString(initiatorEphemeral),
		ResponderStatic: hex.EncodeToString(responderStatic), ResponderEphemeral: hex.EncodeToString(responderEphemeral),
	}
	var toResponder, toInitiator *noise.CipherState
	for i, payload := range [][]byte{{}, []byte("attestation of the responder"), filler(300)} {
		writer, reader := initiator, responder
		if i == 1 {
			writer, reader = responder, initiator
		}
		sealed, first, second, err := writer.WriteMessage(nil, payload)
		check(err)
		opened, _, _, err := reader.ReadMessage(nil, sealed)
		check(err)
		if !bytes.Equal(opened, payload) {
			log.Fatal("the handshake payload changed")
		}
		s.Payloads = append(s.Payloads, hex.EncodeToString(payload))
		s.Handshake = append(s.Handshake, hex.EncodeToString(sealed))
		toResponder, toInitiator = first, second
	}
	s.HandshakeHash = hex.EncodeToString(initiator.ChannelBinding())

	rekeys := []int{0, 0, 1, 0, 2, 0, 0, 1, 3, 0}
	for i, size := range []int{0, 1, 15, 16, 17, 200, 20000, 65519, 32, 33} {
		for _, fromInitiator := range []bool{true, false} {
			cipher := toInitiator
			if fromInitiator {
				cipher = toResponder
			}
			for range make([]struct{}, rekeys[i]) {
				cipher.Rekey()
			}
			sealed, err := cipher.Encrypt(nil, nil, filler(size))
			check(err)
			digest := sha256.Sum256(sealed)
			m := message{FromInitiator: fromInitiator, Rekeys: rekeys[i], PlaintextSize: size, SealedSHA256: hex.EncodeToString(digest[:])}
			if len(sealed) < 300 {
				m.Sealed = hex.EncodeToString(sealed)
			}
			s.Transport = append(s.Transport, m)
		}
	}
	return s
}

func state(suite noise.CipherSuite, initiator bool, prologue, static, ephemeral []byte) *noise.HandshakeState {
	pair, err := noise.DH25519.GenerateKeypair(bytes.NewReader(static))
	check(err)
	s, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeXX, Initiator: initiator, Prologue: prologue,
		StaticKeypair: pair, Random: bytes.NewReader(ephemeral),
	})
	check(err)
	return s
}

// A private key whose every byte is told by its number.
func seed(number byte) []byte {
	digest := sha256.Sum256([]byte{'k', number})
	return digest[:]
}

// Bytes 0, 1, 2 ... 250, 0, 1 ...
func filler(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i % 251)
	}
	return out
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
