// What the commands of notp txn share.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/command.hpp"
#include "tools/notp/txn/txn_service.hpp"

namespace notp::cli {

struct ServiceOptions {
  std::string url;
};
void declare_service(CLI::App& command, ServiceOptions& options);

// Members of a row, for people; "-": there is none.
std::string text_in(const json::object& row, std::string_view name);
std::string age_in(const json::object& row, std::string_view name, TimeMs now_ms);
int64_t number_in(const json::object& row, std::string_view name);  // 0: there is none
// The rows of a list; none when it is not one.
std::vector<json::object> rows_in(const json::object& answer, std::string_view name);

void add_grants(Commands& commands, CLI::App& txn);

}  // namespace notp::cli
