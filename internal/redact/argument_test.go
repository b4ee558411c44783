package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Commands that take a secret as one of their arguments.
func TestCommands(t *testing.T) {
	for _, in := range []string{
		"+ vault login {x}", "vault login -no-print {x}", "vault operator unseal {x}", "+ vault kv put secret/app foo={x}", "+ htpasswd -b .htpasswd bob {x}",
		"htpasswd -bc /x/.htpasswd bob {x}", "htpasswd -nbB bob {x}", "mosquitto_passwd -b f bob {x}", "podman login -u bob -p {x} y", "mongo -u bob -p{x}",
		"curl --proxy-user bob:{x} y", "curl --oauth2-bearer {x} y", "curl -E c.pem:{x} y", "http -a bob:{x} y", "https --auth bob:{x} y", "redis-cli -h y -p 6379 AUTH {x}",
		"redis-cli AUTH bob {x}", "openssl enc -k {x} -in y", "openssl passwd -6 {x}", "7za x -p{x} y.7z", `7z a -p"{x}" y.7z`, "zip -rP {x} y.zip y", "rar a -hp{x} y.rar", "ldappasswd -s {x} cn=y",
		"bcp y -U sa -P {x}", "sqlplus -s bob/{x}", "rabbitmqctl add_user bob {x}", "rabbitmqctl change_password bob {x}", "rabbitmqadmin -u bob -p {x} list",
		"kinit bob@Y <<< {x}", "passwd --stdin bob <<<{x}", "ansible-vault encrypt_string {x} --name y", "skopeo copy --src-creds bob:{x} y", "skopeo copy --dest-creds=bob:{x} y",
		"cargo login {x}", "nuget setapikey {x} -source y", "dotnet nuget push y -k {x}", "flyctl secrets set FOO={x}", "kubectl create secret generic y --from-literal=foo={x}",
		"etcdctl --user root:{x} get y", "etcdctl --user=root:{x} get y", "ncftpput -u bob -p {x} y", "useradd -m -p {x} bob", "psexec -u bob -p {x} y", "+ wpa_passphrase y {x}",
		"snmpwalk -v3 -A {x} y", "swaks -au bob -ap {x}", "security unlock-keychain -p {x} y", "bw login bob {x}", "+ bw unlock {x}", "ssh-keygen -p -P {x} -f y",
		"Command '['sshpass', '-p', '{x}', 'ssh', 'y']' returned 1", `["docker", "login", "-u", "bob", "-p", "{x}"]`, `['htpasswd', '-b', 'f', 'bob', '{x}']`, `["vault","login","{x}"]`,
		"bcp y out -P{x}", "+ sqlcmd -S y -U sa -P'{x}'", "isql -Usa -P{x} y", "ipmitool -H y -U bob -P{x} power status", "snowsql -p {x}",
		"+ smbclient //y/s {x}", "smbclient //y/s {x} -U bob", "+ smbclient -U bob -L '//y/s' '{x}' -c ls", `['smbclient', '//y/s', '{x}']`,
		"mc alias set y https://y KEY {x}", "mc config host add y https://y KEY {x}", "+ mc admin user add y bob {x}",
		`type=EXECVE msg=audit(1:2): argc=3 a0="tool" a1="--token" a2="{x}"`, `argc=4 a0="sshpass" a1="-p" a2="{x}" a3="ssh"`, `a0="curl" a1="-u" a2="bob:{x}"`,
	} {
		in = strings.ReplaceAll(in, "{x}", "hunter2")
		got := New().Redact(in)
		require.NotContains(t, got, "hunter2")
		require.Equal(t, got, New().Redact(got), "masking twice")
		for i := range in { // a text may begin anywhere, as the end of a long output does
			require.NotPanics(t, func() { _ = New().Redact(in[i:]) }, in[i:])
		}
	}
	for _, s := range []string{
		"vault login failed for user bob", "vault login to get a token", "running cargo login before publish", "login successful for bob123", "docker login failed with 401",
		"sudo -u bob mkdir -p foo", "journalctl -u sshd -p err", "docker run -u 1000 -p 8080:80 x", "systemd-run -u foo -p MemoryMax=1G x", "docker run --user node:node x",
		"curl -E cert.pem x", "curl -e https://x:80/y z", "python -u x.py -p foo", "security find-identity -v -p codesigning", "openssl enc -k $KEY", "sqlplus / as sysdba",
		"htpasswd -c file bob", "kubectl create secret generic x --from-file=foo=path", "we use vault kv put to write it", "secrets set by the operator", "mysql -u root -p db",
		"bw unlock --check", "tar -xzf x.tgz -P", "the set of rules", "vault login -path=github", "+ vault login -method=oidc", "ssh-keygen -c [-a rounds] [-P passphrase]", `["requirepass", "masterauth"]`, "cat <<< hunter2",
		"smbclient //h/s -U bob", "smbclient: //h/s user1234", "smbclient //server/share works now", "+ smbclient //h/s | grep x", "+ smbclient //h/s 2>&1", "snowsql -p 8443",
		"mc alias set needs a name, a URL", "mc admin user add is a command for it", `a0="tool" a1="--token" a2="--verbose"`, "rsync -P8 x", `-p"x" y`, "-P'x' y", `-p'`,
	} {
		require.Equal(t, s, New().Redact(s))
	}
}

// The arguments of a command as programs print them.
func TestArguments(t *testing.T) {
	for in, want := range map[string]string{
		`Command '['x', '--password', 'hunter2', 'y']' failed`: `Command '['x', '--password', '[masked]', 'y']' failed`,
		`['terraform', '-token', 'hunter2']`:                   `['terraform', '-token', '[masked]']`,
		`["--token","hunter2"]`:                                `["--token","[masked]"]`,
		"\"--token\",\n    \"hunter2\"\n":                      "\"--token\",\n    \"[masked]\"\n",
		"args:\n- --password\n- hunter2\n- --verbose":          "args:\n- --password\n- [masked]\n- --verbose",
		`['curl', '-u', 'bob:hunter2', 'https://x']`:           `['curl', '-u', '[masked]', 'https://x']`,
		`+ mysqldump -uroot -p'hunter2' x`:                     `+ mysqldump -uroot -p'[masked]' x`,
		`+ keytool -storepass hunter2 -alias x`:                `+ keytool -storepass [masked] -alias x`,
		`+ tool -token hunter2 x`:                              `+ tool -token [masked] x`,
		`+ openssl rsa -passin pass:hunter2 -in x`:             `+ openssl rsa -passin pass:[masked] -in x`,
		`+ aws configure set aws_secret_access_key hunter2`:    `+ aws configure set aws_secret_access_key [masked]`,
		`+ redis-cli -h x -a hunter2 ping`:                     `+ redis-cli -h x -a [masked] ping`, `+ unzip -P hunter2 a.zip`: `+ unzip -P [masked] a.zip`,
		`+ sqlcmd -S x -U sa -P hunter2`: `+ sqlcmd -S x -U sa -P [masked]`, `+ ldapsearch -x -D cn=x -w hunter2`: `+ ldapsearch -x -D cn=x -w [masked]`,
		`+ mongodump -u bob -p hunter2 x`: `+ mongodump -u bob -p [masked] x`, `+ unzip -p a.zip b`: `+ unzip -p a.zip b`, `+ grep -a b -w c`: `+ grep -a b -w c`,
		`+ twine upload -u x -p hunter2 y`: `+ twine upload -u x -p [masked] y`, `+ gh secret set DB --body hunter2`: `+ gh secret set DB --body [masked]`,
		`+ mariadb -uroot -phunter2 x`: `+ mariadb -uroot -p[masked] x`, `+ 7z x -phunter2 a.7z`: `+ 7z x -p[masked] a.7z`, `+ curl -b 'a=hunter2; b=c' x`: `+ curl -b '[masked]' x`,
		`+ curl -b a.txt x`:                `+ curl -b a.txt x`,
		`+ smbclient -U bob%hunter2 //x/y`: `+ smbclient -U [masked] //x/y`, `+ smbclient -U bob //x/y`: `+ smbclient -U bob //x/y`, `+ lftp -u bob,hunter2 x`: `+ lftp -u [masked] x`,
		"curl -u bob:" + random + " x\nsent " + random: "curl -u [masked] x\nsent [masked]",
		`+ plink -pw hunter2 bob@x`:                    `+ plink -pw [masked] bob@x`, `+ nmcli dev wifi connect x password hunter2`: `+ nmcli dev wifi connect x password [masked]`,
		`+ mysqladmin -u root password hunter2`: `+ mysqladmin -u root password [masked]`, `+ rclone config create x s3 secret_access_key hunter2`: `+ rclone config create x s3 secret_access_key [masked]`,
		`curl -u "` + random + `:" x`: `curl -u "[masked]" x`, `curl --user bob:'hunter2' x`: `curl --user [masked]' x`,
		`+ ssh-keygen -N 'hunter2' -f x`: `+ ssh-keygen -N '[masked]' -f x`, `+ ssh-keygen -N "" -f x`: `+ ssh-keygen -N "" -f x`,
		`+ aws ssm put-parameter --name /x --value hunter2`: `+ aws ssm put-parameter --name /x --value [masked]`, `+ az keyvault secret set --name x --value hunter2`: `+ az keyvault secret set --name x --value [masked]`,
		`+ dotnet user-secrets set "Db:Password" "hunter2"`: `+ dotnet user-secrets set "Db:Password" "[masked]"`, `+ neo4j-admin set-initial-password hunter2`: `+ neo4j-admin set-initial-password [masked]`,
		`+ consul kv put db/password hunter2`: `+ consul kv put db/password [masked]`, "AZURE_PAT=" + random: "AZURE_PAT=[masked]", "CREDS=bob:" + random: "CREDS=[masked]", "rpc_creds: no call": "rpc_creds: no call", `"auto_stop_at": "2025-01-25T15:08:29Z"`: `"auto_stop_at": "2025-01-25T15:08:29Z"`,
		`define('NONCE_SALT', 'hunter 2');`:               `define('NONCE_SALT', '[masked]');`,
		`docker run -e "DB_PASSWORD=my secret words" x`:   `docker run -e "DB_PASSWORD=[masked]" x`,
		`["DB_PASSWORD=my secret words", "X=y"]`:          `["DB_PASSWORD=[masked]", "X=y"]`,
		`"TOKEN=hunter2 x=y"`:                             `"TOKEN=[masked] x=y"`,
		`+ pulumi config set --secret dbPassword hunter2`: `+ pulumi config set --secret dbPassword [masked]`, `set -gx DB_PASSWORD hunter2`: `set -gx DB_PASSWORD [masked]`,
		`Step 3/9 : ENV DB_PASSWORD hunter2`:                `Step 3/9 : ENV DB_PASSWORD [masked]`,
		`parser.add_argument("--password", "-p", help="x")`: `parser.add_argument("--password", "-p", help="x")`,
		`parser.add_argument("--password", help="x")`:       `parser.add_argument("--password", help="x")`,
		`@click.option("--password", prompt=True)`:          `@click.option("--password", prompt=True)`,
		`@click.option("--api-token", "api_token")`:         `@click.option("--api-token", "api_token")`,
		"args:\n- --password\n- --verbose":                  "args:\n- --password\n- --verbose",
		"-token handling is better now":                     "-token handling is better now",
		"  -token string\n    \tthe token":                  "  -token string\n    \tthe token",
		"tool [-token value] [-password value]":             "tool [-token value] [-password value]",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}
