package access_test

import data.access

test_an_editor_writes if access.allow with input as {"user": {"roles": ["editor"]}, "action": "write"}

test_a_reader_does_not_write if not access.allow with input as {"user": {"roles": ["reader"]}, "action": "write"}

test_nobody_does_anything if not access.allow with input as {"user": {"roles": []}, "action": "read"}
