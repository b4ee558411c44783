package redact

func IsKeyByte(c byte) bool { return isAlnum(c) || c == '_' || c == '.' || c == '-' }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
