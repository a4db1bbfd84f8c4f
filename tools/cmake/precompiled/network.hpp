#pragma once
// standard.hpp, and what files with sockets include.
#include <openssl/ssl.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <future>
#include <sstream>

#include "tools/cmake/precompiled/standard.hpp"
