// bad-network: the lines between a few hosts, each as slow and lossy as it is told. Every host has a TUN device;
// what the kernel sends into one is read here, kept for as long as the lines take, and written to the device of
// the host that it is for, or dropped. Kernels that have no netem have TUN, and see true packets: TCP sends again
// what is lost, and backs off.
//
//	bad-network DEVICE=IPV4 DEVICE=IPV4...
//
// It makes the devices, says "ready", and takes a line for each change on standard input:
//
//	DEVICE delay_ms jitter_ms loss_percent bytes_per_second
//
// for each direction of that device's line: packets come delay_ms later, give or take up to jitter_ms (and so out of
// order), with a queue of a second where bytes_per_second is not 0. It answers each with "set DEVICE". The devices
// go with the process, which ends with its standard input.
package main

import (
	"bufio"
	"container/heap"
	"fmt"
	"math/rand"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	maxPacketBytes = 65_536
	// A line with a rate drops what would wait longer: a home router's buffer, not a perfect one.
	maxQueued = time.Second
	// struct ifreq (netdevice(7)): the name, then the flags.
	ifreqBytes   = 40
	ifnameBytes  = 16
	tunSetIff    = 0x400454ca
	tunNoHeaders = 0x0001 | 0x1000 // IFF_TUN | IFF_NO_PI
)

type quality struct {
	delay, jitter time.Duration
	loss          float64 // 0..1
	bytesPerSec   float64
}

// One direction of a host's line.
type direction struct{ freeAt time.Time }

type host struct {
	device   *os.File
	quality  quality
	up, down direction
}

type network struct {
	mutex     sync.Mutex
	byAddress map[netip.Addr]*host
	byName    map[string]*host
	departed  chan delivery
}

type delivery struct {
	at     time.Time
	packet []byte
	to     *os.File
}

func main() {
	lines := &network{
		byAddress: map[netip.Addr]*host{},
		byName:    map[string]*host{},
		departed:  make(chan delivery, 1024),
	}
	for _, argument := range os.Args[1:] {
		name, address, _ := strings.Cut(argument, "=")
		device, err := openTun(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bad-network: %s: %v\n", name, err)
			os.Exit(1)
		}
		made := &host{device: device}
		lines.byName[name] = made
		lines.byAddress[netip.MustParseAddr(address)] = made
	}
	go lines.deliver()
	for _, each := range lines.byName {
		go lines.take(each)
	}
	fmt.Println("ready")
	lines.obey()
}

func openTun(name string) (*os.File, error) {
	descriptor, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var request [ifreqBytes]byte
	copy(request[:ifnameBytes-1], name)
	*(*uint16)(unsafe.Pointer(&request[ifnameBytes])) = tunNoHeaders
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(descriptor), tunSetIff, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(uintptr(descriptor), name), nil
}

// obey takes changes until standard input ends.
func (n *network) obey() {
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		var name string
		var delayMs, jitterMs, lossPercent, bytesPerSec float64
		if _, err := fmt.Sscan(input.Text(), &name, &delayMs, &jitterMs, &lossPercent, &bytesPerSec); err != nil {
			fmt.Fprintf(os.Stderr, "bad-network: %q: %v\n", input.Text(), err)
			continue
		}
		n.mutex.Lock()
		n.byName[name].quality = quality{
			delay:       time.Duration(delayMs * float64(time.Millisecond)),
			jitter:      time.Duration(jitterMs * float64(time.Millisecond)),
			loss:        lossPercent / 100,
			bytesPerSec: bytesPerSec,
		}
		n.mutex.Unlock()
		fmt.Println("set", name)
	}
}

// take reads what one host sends.
func (n *network) take(from *host) {
	for {
		packet := make([]byte, maxPacketBytes)
		length, err := from.device.Read(packet)
		if err != nil {
			// The device is down while it moves to its namespace.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		packet = append([]byte(nil), packet[:length]...)
		n.mutex.Lock()
		to, at, arrives := n.route(from, packet)
		n.mutex.Unlock()
		if arrives {
			n.departed <- delivery{at, packet, to.device}
		}
	}
}

// route says where a packet goes, and when it is there.
func (n *network) route(from *host, packet []byte) (to *host, at time.Time, arrives bool) {
	// An IPv4 header (RFC 791 §3.1); anything else, such as a neighbour's IPv6 solicitation, has no way.
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return nil, at, false
	}
	to = n.byAddress[netip.AddrFrom4([4]byte(packet[16:20]))]
	if to == nil {
		return nil, at, false
	}
	at, arrives = from.up.pass(time.Now(), from.quality, len(packet))
	if arrives {
		at, arrives = to.down.pass(at, to.quality, len(packet))
	}
	return to, at, arrives
}

func (d *direction) pass(at time.Time, q quality, bytes int) (time.Time, bool) {
	if rand.Float64() < q.loss {
		return at, false
	}
	if q.bytesPerSec > 0 {
		if d.freeAt.After(at) {
			if d.freeAt.Sub(at) > maxQueued {
				return at, false
			}
			at = d.freeAt
		}
		at = at.Add(time.Duration(float64(bytes) / q.bytesPerSec * float64(time.Second)))
		d.freeAt = at
	}
	return at.Add(q.delay + time.Duration((rand.Float64()*2-1)*float64(q.jitter))), true
}

// deliver writes each packet when its time has come.
func (n *network) deliver() {
	waiting := &queue{}
	timer := time.NewTimer(time.Hour)
	for {
		for waiting.Len() > 0 && !(*waiting)[0].at.After(time.Now()) {
			due := heap.Pop(waiting).(delivery)
			// A host whose device is gone loses its packets, as in life.
			_, _ = due.to.Write(due.packet)
		}
		if waiting.Len() > 0 {
			timer.Reset(time.Until((*waiting)[0].at))
		}
		select {
		case next := <-n.departed:
			heap.Push(waiting, next)
		case <-timer.C:
		}
	}
}

type queue []delivery

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(delivery)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
