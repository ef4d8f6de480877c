package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/store"
)

// parseIDs parses the command line of a command that names sessions. One id in
// 64 begins with a hyphen, and would be taken for flags: it is an argument.
// It reports whether help was asked for.
func parseIDs(cmd *cobra.Command, line []string) (args []string, help bool, err error) {
	cmd.DisableFlagParsing = false // so that this does it
	if err := cmd.ParseFlags(idsLast(cmd, line)); err != nil {
		return nil, false, err
	}
	help, err = cmd.Flags().GetBool("help")
	return cmd.Flags().Args(), help, err
}

// idsLast moves ids that begin with a hyphen behind all flags, and `--` before them.
func idsLast(cmd *cobra.Command, line []string) []string {
	var flags, ids []string
	for i, arg := range line {
		if arg == "--" {
			return append(append(append(flags, arg), ids...), line[i+1:]...)
		}
		_, err := store.ParseID(arg)
		if err == nil && strings.HasPrefix(arg, "-") && (i == 0 || !wantsValue(cmd, line[i-1])) {
			ids = append(ids, arg)
		} else {
			flags = append(flags, arg)
		}
	}
	return append(append(flags, "--"), ids...)
}

// wantsValue reports whether an argument is a flag whose value is the next one.
func wantsValue(cmd *cobra.Command, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		flag := cmd.Flag(name)
		return flag != nil && flag.NoOptDefVal == ""
	}
	if len(arg) != 2 || arg[0] != '-' {
		return false
	}
	flag := cmd.Flags().ShorthandLookup(arg[1:])
	if flag == nil {
		flag = cmd.InheritedFlags().ShorthandLookup(arg[1:])
	}
	return flag != nil && flag.NoOptDefVal == ""
}
