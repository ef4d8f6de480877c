package app

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/procfs"
	"go.uber.org/zap"
)

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = 10

// warnOfSharedPorts tells of ports that another process listens on, too. Linux
// lets Caddy's listeners share a port without an error, and each process then
// gets some of the requests: that of a proxy that was started twice.
func (a *App) warnOfSharedPorts() {
	ports := make(map[uint64]bool)
	if app := a.httpApp(); app != nil {
		for _, server := range app.Servers {
			for _, listen := range server.Listen {
				if parsed, err := caddy.ParseNetworkAddress(listen); err == nil && strings.HasPrefix(parsed.Network, "tcp") {
					for port := parsed.StartPort; port <= parsed.EndPort && len(ports) < 100; port++ {
						ports[uint64(port)] = true
					}
				}
			}
		}
	}
	for _, address := range foreignListeners(ports, ownSockets()) {
		a.logger.Warn("another process listens on this port, too, and gets some of the requests; if a proxy runs already, stop one of the two, or use `reload`",
			zap.String("address", address))
	}
}

// foreignListeners returns the addresses of listening sockets on the ports
// that are not among the own ones. Where the system does not tell, it is none.
func foreignListeners(ports, own map[uint64]bool) (found []string) {
	fs, err := procfs.NewDefaultFS()
	if err != nil || len(own) == 0 {
		return nil
	}
	v4, _ := fs.NetTCP()  //nolint:staticcheck // empty where there is none; netlink is one more dependency
	v6, _ := fs.NetTCP6() //nolint:staticcheck // as above
	for _, line := range slices.Concat(v4, v6) {
		if line.St == tcpListen && ports[line.LocalPort] && !own[line.Inode] {
			found = append(found, net.JoinHostPort(line.LocalAddr.String(), strconv.FormatUint(line.LocalPort, 10)))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// ownSockets returns the inodes of this process's sockets.
func ownSockets() map[uint64]bool {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	own := make(map[uint64]bool)
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil {
			continue
		}
		if text, ok := strings.CutPrefix(target, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); err == nil {
				own[inode] = true
			}
		}
	}
	return own
}
