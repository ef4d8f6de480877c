<?php
// The way of the PHP manual: session_start(), a login form, a logout.
session_start();
$do = $_POST['do'] ?? '';
if ($do === 'login' && $_POST['password'] === $_POST['user'] . '-Kept-Secret-7') {
    session_regenerate_id(true);
    $_SESSION['user'] = $_POST['user'];
} elseif ($do === 'logout') {
    setcookie(session_name(), '', time() - 42000, '/');
    session_destroy();
    $_SESSION = [];
}
?>
<!DOCTYPE html>
<title>PHP</title>
<p id="user"><?= htmlspecialchars($_SESSION['user'] ?? '') ?></p>
<form method="post"><input name="user"><input name="password" type="password"><button name="do" value="login">Sign in</button></form>
<form method="post"><input type="hidden" name="leave" value="1"><button name="do" value="logout">Sign out</button></form>
