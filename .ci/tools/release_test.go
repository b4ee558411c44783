// Package tools tests what .ci/release builds:
//
//	.ci/release dist && go -C .ci/tools test -release "$PWD/dist"
package tools

import (
	"crypto/sha256"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

var release = flag.String("release", "", "the folder with the release to test")

// imageUser is the user of the image. Nothing else on a machine has that id.
const imageUser = 65532

// built returns the one file of the release whose name fits.
func built(t *testing.T, pattern string) string {
	t.Helper()
	if *release == "" {
		t.Skip("-release does not name a release to test")
	}
	names, err := filepath.Glob(filepath.Join(*release, pattern))
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: want one file, found %q (%v)", pattern, names, err)
	}
	return names[0]
}

// run runs a command and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("no %s here", program)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can do that")
	}
}

var architectures = map[string]struct {
	machine elf.Machine
	rpm     string
}{
	"amd64": {elf.EM_X86_64, "x86_64"},
	"arm64": {elf.EM_AARCH64, "aarch64"},
}

func TestPrograms(t *testing.T) {
	for arch, want := range architectures {
		path := built(t, "adfbot_linux_"+arch)
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != want.machine {
			t.Errorf("%s: the machine is %s", arch, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: it is not static: %s", arch, p.Type)
			}
		}
		_ = f.Close()
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^v\d+\.\d+\.\d+`).MatchString(info.Main.Version) || strings.Contains(info.Main.Version, "dirty") {
			t.Errorf("%s: the version is %s", arch, info.Main.Version)
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		for key, value := range map[string]string{"-trimpath": "true", "CGO_ENABLED": "0", "vcs.modified": "false"} {
			if settings[key] != value {
				t.Errorf("%s: %s is %q", arch, key, settings[key])
			}
		}
		if arch == runtime.GOARCH {
			contains(t, run(t, path, "version"), "adfbot "+info.Main.Version+" "+settings["vcs.revision"][:12], "linux/"+arch)
		}
	}
}

func TestChecksums(t *testing.T) {
	sums, err := os.ReadFile(built(t, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		listed[name] = sum
	}
	entries, err := os.ReadDir(*release)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "SHA256SUMS" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(*release, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if listed[e.Name()] != hex.EncodeToString(sum[:]) {
			t.Errorf("the sum of %s is %q", e.Name(), listed[e.Name()])
		}
		delete(listed, e.Name())
	}
	if len(listed) > 0 {
		t.Errorf("there are sums of what is not there: %v", listed)
	}
}

var packaged = []string{
	"/etc/adfbot", "/usr/bin/adfbot", "/usr/lib/systemd/system/adfbot.service", "/usr/share/bash-completion/completions/adfbot",
	"/usr/share/fish/vendor_completions.d/adfbot.fish", "/usr/share/doc/adfbot/config.example.yaml", "/usr/share/doc/adfbot/dashboard.json",
	"/usr/share/doc/adfbot/alerts.yaml",
}

// The units and programs of both packages are those of the release, and belong to root.
func TestDebian(t *testing.T) {
	need(t, "dpkg-deb")
	for arch := range architectures {
		path := built(t, "adfbot_*_"+arch+".deb")
		list := run(t, "dpkg-deb", "-c", path)
		for _, file := range append(packaged, "/usr/share/zsh/vendor-completions/_adfbot") {
			contains(t, list, " ."+file)
		}
		if n := strings.Count(list, "root/root"); n != strings.Count(list, "\n") {
			t.Errorf("not all is root's:\n%s", list)
		}
		contains(t, list, "-rwxr-xr-x root/root")
		contains(t, run(t, "dpkg-deb", "-f", path), "Package: adfbot\n", "Architecture: "+arch+"\n", "Depends: passwd\n")
		root := t.TempDir()
		run(t, "dpkg-deb", "-x", path, root)
		equal(t, built(t, "adfbot_linux_"+arch), root+"/usr/bin/adfbot")
		unit, err := os.ReadFile(root + "/usr/lib/systemd/system/adfbot.service")
		if err != nil {
			t.Fatal(err)
		}
		contains(t, string(unit), "\nExecStart=/usr/bin/adfbot serve\n", "\nUser=adfbot\n")
		if strings.Contains(string(unit), "/usr/local") || strings.Contains(string(unit), "useradd") {
			t.Errorf("the unit is not that of a package:\n%s", unit)
		}
	}
}

func equal(t *testing.T, one, other string) {
	t.Helper()
	a, err := os.ReadFile(one)
	b, err2 := os.ReadFile(other)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("%s and %s differ", one, other)
	}
}

func TestRPM(t *testing.T) {
	need(t, "rpm")
	for _, want := range architectures {
		path := built(t, "adfbot-*."+want.rpm+".rpm")
		list := run(t, "rpm", "-qp", "--qf", `[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}\n]`, path)
		for _, file := range append(packaged, "/usr/share/zsh/site-functions/_adfbot") {
			contains(t, list, file+" ")
		}
		contains(t, list, "/usr/bin/adfbot 100755 root\n", "/etc/adfbot 40755 root\n")
		contains(t, run(t, "rpm", "-qp", "--qf", "%{ARCH} %{BUILDHOST}", path), want.rpm+" localhost")
	}
}

// onMachine runs a script on a copy of this machine that is thrown away: an overlay of its root, in a mount namespace of its own.
func onMachine(t *testing.T, script string) string {
	t.Helper()
	needRoot(t)
	dir := "/dev/shm" // not on an overlay, as / may be one
	layers, err := os.MkdirTemp(dir, "adfbot-release-")
	if err != nil {
		t.Skipf("no room for a copy of this machine: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(layers) })
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(layers, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	enter := `cd "$1" && mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root || exit 99
mount -t proc proc root/proc; mount --bind /dev root/dev; mkdir -p root/release && mount --bind "$2" root/release
exec chroot root bash -euc "$3"`
	out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "bash", "-c", enter, "-", layers, *release, standIn+script).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 99 {
		t.Skipf("no overlay of this machine can be mounted: %s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// standIn takes the place of a running systemd: it notes what it is asked for, and says that the daemon runs if /running is there.
const standIn = `
mkdir -p /run/systemd/system
rm -f /usr/local/bin/adfbot /etc/systemd/system/adfbot.service /usr/bin/systemctl
cat >/usr/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/asked
case "$*" in *is-active*) [ -e /running ];; esac
END
chmod +x /usr/bin/systemctl
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
asked() { echo "asked: $(tr '\n' ';' </asked)"; rm /asked; }
`

// checkInstallation installs a package, installs it again as an upgrade, and removes it. names are those of a Debian package or RPM.
func checkInstallation(t *testing.T, install, upgrade, remove string) {
	t.Helper()
	out := onMachine(t, `
`+install+`
asked
getent passwd adfbot; stat -c '%n %U:%G %a' /var/lib/adfbot /opt/ai-dark-factory/data/pause /etc/adfbot
adfbot version
echo == upgrade
chmod 2775 /opt/ai-dark-factory/data/pause; chgrp users /opt/ai-dark-factory/data/pause
touch /running /opt/ai-dark-factory/data/pause/odilo /etc/adfbot/config.yaml /etc/systemd/system/adfbot.service
`+upgrade+`
asked
stat -c '%n %U:%G %a' /opt/ai-dark-factory/data/pause
echo == remove
`+remove+`
asked
ls /opt/ai-dark-factory/data/pause/odilo /etc/adfbot/config.yaml
getent passwd adfbot
test ! -e /usr/bin/adfbot`)
	first, rest, _ := strings.Cut(out, "== upgrade\n")
	second, third, ok := strings.Cut(rest, "== remove\n")
	if !ok {
		t.Fatal(out)
	}
	contains(t, first, "adfbot is installed and does not run yet", "/etc/adfbot/config.yaml", "systemctl enable --now adfbot",
		"asked: daemon-reload;--quiet is-active adfbot.service;\n",
		"adfbot:x:", ":/var/lib/adfbot:/usr/sbin/nologin", "/var/lib/adfbot adfbot:adfbot 750", "/opt/ai-dark-factory/data/pause adfbot:adfbot 755",
		"/etc/adfbot root:root 755", "adfbot v")
	contains(t, second, "the daemon was not restarted", "sudo systemctl restart adfbot", "/opt/ai-dark-factory/data/pause adfbot:users 2775",
		"/etc/systemd/system/adfbot.service comes before the file of this package")
	// The scripts of old and new version look and reload, in whatever order.
	for _, line := range regexp.MustCompile(`asked: (.*)`).FindStringSubmatch(second)[1:] {
		for _, asked := range strings.Split(strings.Trim(line, ";"), ";") {
			if asked != "daemon-reload" && asked != "--quiet is-active adfbot.service" {
				t.Errorf("the upgrade runs systemctl %s", asked)
			}
		}
	}
	contains(t, third, "asked: --quiet disable --now adfbot.service;daemon-reload;\n", "These stay",
		"/opt/ai-dark-factory/data/pause/odilo\n", "/etc/adfbot/config.yaml\n", "adfbot:x:")
}

func TestInstallDebian(t *testing.T) {
	need(t, "dpkg")
	deb := "/release/" + filepath.Base(built(t, "adfbot_*_"+runtime.GOARCH+".deb"))
	checkInstallation(t, "dpkg -i "+deb, "dpkg -i "+deb, "dpkg -r adfbot")
}

func TestInstallRPM(t *testing.T) {
	need(t, "rpm")
	rpm := "/release/" + filepath.Base(built(t, "adfbot-*."+architectures[runtime.GOARCH].rpm+".rpm"))
	// What it depends on is there, as another kind of package.
	checkInstallation(t, "rpm -i --nodeps "+rpm, "rpm -U --replacepkgs --nodeps "+rpm, "rpm -e adfbot")
}

// image unpacks the image as it is for this machine, and returns its root.
func image(t *testing.T) string {
	t.Helper()
	path := built(t, "image_linux_"+runtime.GOARCH+".tar")
	needRoot(t)
	root := t.TempDir()
	run(t, "tar", "-C", root, "-xpf", path, "--same-owner")
	for dir := root; dir != "/"; dir = filepath.Dir(dir) { // the image's user goes through them
		if err := os.Chmod(dir, 0o755|modeOf(t, dir)); err != nil {
			t.Fatal(err)
		}
		if dir == os.TempDir() {
			break
		}
	}
	return root
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// inImage runs adfbot as the image does.
func inImage(root string, args ...string) (string, error) {
	cmd := exec.Command("/usr/bin/adfbot", args...)
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=/var/lib/adfbot", "PATH=/usr/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestImage(t *testing.T) {
	root := image(t)
	out, err := inImage(root, "version")
	if err != nil {
		t.Fatal(out, err)
	}
	contains(t, out, "adfbot v")
	for _, dir := range []string{"tmp", "var/tmp"} {
		if modeOf(t, filepath.Join(root, dir)) != fs.ModeDir|fs.ModeSticky|0o777 {
			t.Errorf("/%s has the mode %s", dir, modeOf(t, filepath.Join(root, dir)))
		}
	}

	// A Gitea whose certificate is signed by a root of its own.
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, ok := map[string]string{"/api/v1/version": `{"version":"1.26.0"}`, "/api/v1/user": `{"id":2,"login":"adf-bot"}`}[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"message":"not found"}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer site.Close()
	write(t, root+"/etc/adfbot/gitea-token", "0123456789abcdef0123456789abcdef01234567\n")
	if err := errors.Join(os.Chmod(root+"/etc/adfbot/gitea-token", 0o600), os.Chown(root+"/etc/adfbot/gitea-token", imageUser, imageUser)); err != nil {
		t.Fatal(err)
	}
	write(t, root+"/etc/adfbot/config.yaml", fmt.Sprintf(`
gitea: {url: %q, token_file: /etc/adfbot/gitea-token, owner: terraphim, repo: adf-fleet}
http: {socket: /run/adfbot/adfbot.sock}
projects: [{id: odilo}]
`, site.URL))
	out, _ = inImage(root, "check")
	contains(t, out, "certificate") // it is signed by none of the image's roots
	if strings.Contains(out, "version 1.26.0") {
		t.Errorf("a certificate that nobody vouches for is accepted:\n%s", out)
	}
	roots := root + "/etc/ssl/certs/ca-certificates.crt"
	b, err := os.ReadFile(roots)
	if err != nil {
		t.Fatal(err)
	}
	if n := certificates(t, b); n < 100 {
		t.Errorf("the bundle has %d certificates", n)
	}
	write(t, roots, string(b)+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw})))
	out, _ = inImage(root, "check")
	contains(t, out, "ok    config", "ok    gitea", "version 1.26.0", "ok    account    adf-bot")

	// State, flag and spool have their places.
	for range 3 {
		if out, err := inImage(root, "record", "--project", "odilo", "--failure"); err != nil {
			t.Fatal(out, err)
		}
	}
	if _, err := os.Lstat(root + "/opt/ai-dark-factory/data/pause/odilo"); err != nil {
		t.Error("the third failure writes no flag:", err)
	}
	if out, err := inImage(root, "gate", "odilo"); err == nil {
		t.Error(out)
	}
	if err := os.RemoveAll(root + "/var/lib/adfbot"); err != nil { // as if nothing were mounted on a root that cannot be written
		t.Fatal(err)
	}
	out, _ = inImage(root, "record", "--project", "odilo", "--success")
	spools, err := filepath.Glob(root + "/var/tmp/adfbot-spool-*")
	if err != nil || len(spools) != 1 {
		t.Errorf("there is no spool in /var/tmp: %q %v\n%s", spools, err, out)
	}
}

func certificates(t *testing.T, bundle []byte) (n int) {
	t.Helper()
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		n++
	}
	return n
}

// The description names the user that the layer has, and the layers that are there.
func TestContainerfile(t *testing.T) {
	b, err := os.ReadFile(built(t, "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(b), "\nFROM scratch\n", fmt.Sprintf("\nUSER %d:%d\n", imageUser, imageUser), "\nADD image_linux_${TARGETARCH}.tar /\n", "\nENTRYPOINT [\"/usr/bin/adfbot\"]\n")
	for arch := range architectures {
		list := run(t, "tar", "--numeric-owner", "-tvf", built(t, "image_linux_"+arch+".tar"))
		contains(t, list, fmt.Sprintf("%d/%d", imageUser, imageUser), " usr/bin/adfbot\n", " etc/ssl/certs/ca-certificates.crt\n")
	}
}
