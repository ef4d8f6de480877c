<?php
// An app with sessions and no library: php -S 127.0.0.1:3000 app.php, or
// behind php_fastcgi.
//
// What it knows of its visitor came in the header Session-Data; what it wants
// remembered it answers in Session-Patch and its like.

function call(string $url, string $method, mixed $value = null): mixed
{
    $options = ['method' => $method, 'header' => 'Content-Type: application/json'];
    if ($value !== null) {
        $options['content'] = json_encode($value);
    }
    return json_decode(file_get_contents($url, false, stream_context_create(['http' => $options])), true);
}

$session = json_decode($_SERVER['HTTP_SESSION_DATA'], true);
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$body = 'ok';

header('Content-Type: text/plain; charset=utf-8');

switch ($path) {
    case '/':
        $visits = ($session['visits'] ?? 0) + 1;
        header('Session-Patch: ' . json_encode(['visits' => $visits]));
        $body = "visit $visits";
        break;
    case '/add':
        header('Session-Add: ' . json_encode(['clicks' => 1]));
        break;
    case '/set':
        // json_encode escapes what is not ASCII: the header is plain text.
        header('Session-Patch: ' . json_encode([$_GET['k'] => $_GET['v']]));
        break;
    case '/login':
        header('Session-Principal: ' . json_encode($_GET['user']));
        break;
    case '/logout':
        header('Session-Action: destroy');
        break;
    case '/bad':
        header('Session-Patch: this is no JSON');
        break;
    case '/fail':
        http_response_code(500);
        header('Session-Patch: ' . json_encode(['visits' => -1]));
        break;
    case '/endpoint':
        // The same session, by the URL of this request: staged until the
        // response's headers, which add to it.
        $endpoint = $_SERVER['HTTP_SESSION_ENDPOINT'];
        call("$endpoint/data/cart/items", 'PUT', []);
        call("$endpoint/data/cart/items/-", 'PUT', 'apple');
        $body = json_encode(call("$endpoint/data/cart", 'GET'));
        header('Session-Patch: ' . json_encode(['ordered' => true]));
        break;
    case '/raw':
        $seen = array_filter($_SERVER, fn($name) => str_starts_with($name, 'HTTP_SESSION') || $name === 'HTTP_COOKIE', ARRAY_FILTER_USE_KEY);
        $body = json_encode($seen);
        break;
    default:
        http_response_code(404);
}

echo $body;
