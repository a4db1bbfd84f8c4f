// AuthZEN's interoperability scenario "Todo" (https://authzen-interop.net), and the request forms
// that its certification requires, against a running agent.
#include <doctest/doctest.h>

#include "tests/support/process/curl.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

const std::string kTodo = "100000000000/todo";
constexpr std::string_view kIdPrefix = "CiRmZD",
                           kIdRest = "2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs";

struct User {
  std::string_view digits;  // of the scenario's id
  std::string_view mail, roles;
  bool creates, changes_own, changes_all;

  std::string id() const { return fmt::format("{}{}{}", kIdPrefix, digits, kIdRest); }
};

// The scenario's table: these users have the same rights to update and to delete.
constexpr std::array<User, 5> kUsers = {{
    {"A", "rick@the-citadel.com", R"(["admin","evil_genius"])", true, true, true},
    {"E", "morty@the-citadel.com", R"(["editor"])", true, true, false},
    {"I", "summer@the-smiths.com", R"(["editor"])", true, true, false},
    {"M", "beth@the-smiths.com", R"(["viewer"])", false, false, false},
    {"Q", "jerry@the-smiths.com", R"(["viewer"])", false, false, false},
}};

std::filesystem::path write_todo_model(const Stack& stack) {
  const std::filesystem::path folder = stack.file("todo-model");
  must(make_folders(folder / "todo/users"));
  must(write_file(folder / "manifest.json", R"({
    "metadata": {"name": "todo"},
    "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
    "partitions": {"/": {"runtime": "rego"}},
    "roots": ["todo"]})"));
  std::string users;
  for (const User& user : kUsers)
    users += fmt::format(R"({}"{}":{{"mail":"{}","roles":{}}})", users.empty() ? "" : ",",
                         user.id(), user.mail, user.roles);
  must(write_file(folder / "todo/users/data.json", "{" + users + "}"));
  must(write_file(folder / "todo/policy.rego", R"(package todo

default allow := false

user := data.todo.users[input.subject.id]

is_owner if input.resource.properties.ownerID == user.mail

allow if input.action.name in {"can_read_user", "can_read_todos"}

allow if {
	input.action.name == "can_create_todo"
	some role in user.roles
	role in {"admin", "editor"}
}

allow if {
	input.action.name == "can_update_todo"
	"evil_genius" in user.roles
}

allow if {
	input.action.name == "can_delete_todo"
	"admin" in user.roles
}

allow if {
	input.action.name in {"can_update_todo", "can_delete_todo"}
	"editor" in user.roles
	is_owner
}
)"));
  return folder;
}

struct Fact {
  std::string request;  // members without braces
  bool permitted = false;
};

std::vector<Fact> facts() {
  std::vector<Fact> out;
  const auto add = [&](const User& user, std::string_view action, std::string_view resource,
                       bool permitted) {
    out.push_back({fmt::format(R"("subject":{{"type":"user","id":"{}"}},"action":{{"name":"{}"}},)"
                               R"("resource":{{{}}},"context":{{}})",
                               user.id(), action, resource),
                   permitted});
  };
  for (const User& user : kUsers) {
    for (const User& other : kUsers)
      add(user, "can_read_user", fmt::format(R"("type":"user","id":"{}")", other.mail), true);
    add(user, "can_read_todos", R"("type":"todo","id":"todo-1")", true);
    add(user, "can_create_todo", R"("type":"todo","id":"todo-1")", user.creates);
    for (const std::string_view action : {"can_update_todo", "can_delete_todo"})
      for (const User& owner : kUsers)
        add(user, action,
            fmt::format(R"("type":"todo","id":"7240d0db-8ff0-41ec-98b2-34a096273b9f",)"
                        R"("properties":{{"ownerID":"{}"}})",
                        owner.mail),
            user.changes_all || (user.changes_own && owner.mail == user.mail));
  }
  return out;
}

TEST_CASE("the facts of the Todo scenario, one by one and in one request") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(write_todo_model(stack), kTodo) == 1);
  const Agent& agent =
      stack.start_agent({.name = "edge-1",
                         .ledgers = {kTodo},
                         .more = {{"authzen", json::object{{"path", "todo/allow"}}}}});
  REQUIRE(wait_until([&] { return agent.has_active(kTodo, 1); }));
  const auto post = [&](const std::string& path, const std::string& body) {
    must(write_file(stack.file("body.json"), body));
    return curl({"-H", "Content-Type: application/json", "--data-binary",
                 "@" + stack.file("body.json").string(), agent.url() + path});
  };
  const std::vector<Fact> table = facts();
  CHECK(table.size() == 5 * (5 + 2 + 10));
  std::string all;
  for (const Fact& fact : table) {
    const CurlAnswer answer = post("/access/v1/evaluation", "{" + fact.request + "}");
    CHECK_MESSAGE(answer.status == 200, fact.request);
    CHECK_MESSAGE(
        answer.body == (fact.permitted ? "{\"decision\":true}\n" : "{\"decision\":false}\n"),
        fact.request);
    all += fmt::format("{}{{{}}}", all.empty() ? "" : ",", fact.request);
  }
  const CurlAnswer several = post("/access/v1/evaluations", "{\"evaluations\":[" + all + "]}");
  REQUIRE(several.status == 200);
  const json::value document = several.document();
  const json::array& decisions = document.at("evaluations").as_array();
  REQUIRE(decisions.size() == table.size());
  for (size_t i = 0; i < table.size(); ++i)
    CHECK_MESSAGE(at(decisions[i], "decision") == json::value(table[i].permitted),
                  table[i].request);
}

}  // namespace
}  // namespace notp
