#pragma once
// Extends standard.hpp by the headers of files that use sockets.
#include <openssl/ssl.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <future>
#include <sstream>

#include "tools/cmake/precompiled/standard.hpp"
