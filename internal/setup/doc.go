// Package setup makes what a new installation needs: the service's user, directories with their rights, the file of the token, the
// configuration, and a systemd unit.
//
// [Places] says where, [Answers] what is in the configuration, and [Steps] what is to be done for both. A step can be shown as commands of a
// shell, or done.
//
// # After a crash
//
// A step that finds its work done leaves it alone, whoever did it, so that a setup which was interrupted can be repeated. A file or
// directory gets its content, owner and mode under another name, and appears whole; what exists is never changed. What a crash leaves
// under such a name goes with the next setup.
package setup
