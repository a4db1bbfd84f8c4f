package actors_test

import data.actors

test_every_actor_has_a_type_and_is_assumed_somehow if {
	every actor in actors {
		actor.type in {"role-based-actor", "digital-twin-actor"}
		actor.assumed_by in {"itself", "trusted", "strictly-trusted"}
	}
}

# A twin can do nothing that the actor cannot whose twin it is, and has no identities of its own.
test_twins_are_narrower if {
	every actor in [actor | some actor in actors; actor.type == "digital-twin-actor"] {
		of := actors[actor.twin_of]
		of.type == "role-based-actor"
		not actor.identities
		every scope, policy in actor.policies {
			policy.amount_max <= of.policies[scope].amount_max
		}
	}
}
