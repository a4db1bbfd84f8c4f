# Who may do what with documents: by the roles of the user.
package access

default allow := false

allow if {
	some role in input.user.roles
	input.action in data.access.roles[role]
}
