package redact

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
